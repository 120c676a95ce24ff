"""Which environment variables code cannot do without."""

from __future__ import annotations

import pytest

from wardian.inspection.variables import find_variables


def _found(source: str) -> dict[str, int]:
    return find_variables(source.encode(), "mill.saw", "mill/saw.py")


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef cut(): return os.environ['RATE']",
        "import os as system\nrate = system.environ['RATE']",
        "from os import environ\nrate = environ['RATE']",
        "from os import environ as settings\ncut = lambda: settings['RA' 'TE']",
        "import os; settings = os.environ\ndef cut(): return settings['RATE'] or os.environ['RATE']",
        "import os\nrate = os.environ['RATE']\ndef setup(): os.environ['RATE'] = '1'",
        "import os\nrate = os.environ['RATE']\nif __name__ == '__main__': os.environ['RATE'] = '1'",
    ],
)
def test_a_variable_that_is_read_by_name(source: str) -> None:
    assert _found(source) == {"RATE": 2}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nrate = os.environ.get('RATE')",
        "import os\nrate = os.environ[name]",
        "import os\ndel os.environ['RATE']",
        "import os\nos.environ.pop('RATE')",
        "import os\nos.environ['RATE'] = '1'\nrate = os.environ['RATE']",
        "import os\ndef cut():\n    os.environ['RATE'] = '1'\n    return os.environ['RATE']",
        "import os\nos.environ.setdefault('RATE', '1')\nrate = os.environ['RATE']",
        "import os\nrate = os.environ['RATE'] if 'RATE' in os.environ else 1",
        "import os\ntry:\n    rate = os.environ['RATE']\nexcept KeyError:\n    rate = 1",
        "import os\nif __name__ == '__main__':\n    rate = os.environ['RATE']",
        "environ = {'RATE': 1}\nrate = environ['RATE']",
        "os.environ[",
        "rate = 1",
    ],
)
def test_what_needs_no_variable(source: str) -> None:
    assert _found(source) == {}


def test_the_first_line_of_each_is_told_in_their_order() -> None:
    source = "from os import environ\na = environ['B']\nb = environ['A']\nc = environ['B']\n"
    assert list(_found(source).items()) == [("B", 2), ("A", 3)]


def test_what_cleans_up_at_the_end_catches_nothing() -> None:
    source = "import os\ntry:\n    a = os.environ['A']\nfinally:\n    b = os.environ['B']\n"
    assert _found(source) == {"A": 3, "B": 5}
