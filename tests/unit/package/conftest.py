"""A little library to package: plants in a greenhouse."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

FILES = {
    "greenhouse/__init__.py": """
        import greenhouse.beds

        result = "greenhouse"


        class Greenhouse:
            def __init__(self, bed):
                self.bed = bed
        """,
    "greenhouse/beds.py": """
        result = "greenhouse.beds"


        class Bed:
            class Label:
                def __init__(self, text):
                    self.text = text

            def __init__(self, plants=()):
                self.plants = list(plants)


        def leaf_function(a, b):
            return a * 2 + b
        """,
    "greenhouse/models.py": """
        import torch
        from greenhouse.beds import leaf_function


        class Growth(torch.nn.Module):
            def __init__(self, size=3):
                super().__init__()
                self.linear = torch.nn.Linear(size, size)

            def forward(self, x):
                return torch.relu(self.linear(x) + 1.0)


        class Shared(torch.nn.Module):
            def __init__(self, tensor):
                super().__init__()
                self.tensor = torch.nn.Parameter(tensor)

            def forward(self, x):
                return self.tensor * x


        class KeepLinear(torch.fx.Tracer):
            def is_leaf_module(self, module, name):
                return True
        """,
    "tools.py": """
        result = "tools"
        """,
    "shed/__init__.py": """
        __import__("door", globals(), fromlist=["Door"], level=1)
        __import__("loft.boxes", globals(), fromlist=[""], level=1)
        __import__("roof", globals=globals(), locals=locals(), fromlist=["*"], level=1)
        __import__("math", fromlist=[])
        __import__("xml.sax.xmlreader")
        result = "shed"


        class Shed:
            __slots__ = ["content"]

            def __init__(self, content):
                self.content = content
        """,
    "shed/door.py": 'result = "door"\n\n\nclass Door:\n    pass\n',
    "shed/roof.py": '__all__ = ["Roof"]\nresult = "roof"\n\n\nclass Roof:\n    pass\n',
    "shed/loft/__init__.py": 'result = "loft"\n',
    "shed/loft/boxes/__init__.py": 'result = "boxes"\n',
    "whereabouts.py": """
        if "__torch_package__" in dir():
            def is_from_package():
                return True
        else:
            def is_from_package():
                return False
        """,
    "asks_importer.py": """
        try:
            import torch_package_importer
        except ImportError:
            torch_package_importer = None
        """,
    "_mock.py": 'USER_CODE = "mine"\n',
}


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("library")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(content))
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    tops = {name.partition("/")[0].removesuffix(".py") for name in FILES}
    for name in [n for n in sys.modules if n.partition(".")[0] in tops]:
        del sys.modules[name]
