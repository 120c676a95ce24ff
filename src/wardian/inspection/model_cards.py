"""The model card of a case: what is really in the file, as the Hugging Face Hub shows it."""

from __future__ import annotations

import re

from wardian.inspection.summary import Summary
from wardian.reading.fit import requirements
from wardian.wording import count_text, size_text

__all__ = ["MADE_BY", "model_card"]

MADE_BY = "<!-- made by wardian push: it is written anew by the next one, unless this line is removed -->"


def model_card(summary: Summary, url: str) -> str:
    """Return the text of a card.

    Args:
        summary: What is in the case.
        url: Where it will be.
    """
    manifest = summary.manifest
    entries = [f"- {_code(e.name)}: {_code(e.type or 'an object')}" for e in manifest.entry_points]
    licences = {licence.distribution: licence.expression for licence in summary.licences}
    inside = [
        f"- {_code(f'{packed.name} {packed.version or str()}'.strip())}"
        f"{_licence_text(licences[packed.name]) if packed.name in licences else ''}"
        for packed in manifest.distributions
    ]
    weights = [
        f"{count_text(w.tensors, 'tensor')} of {w.dtype}, {size_text(w.bytes)}" for w in summary.weights
    ]
    needs = [line.replace("`", "") for line in requirements(manifest, exact=False)]
    name = "" if len(manifest.entry_points) == 1 else f", name={manifest.entry_points[0].name!r}"
    made = f"Python {manifest.python.version} and torch {manifest.torch} on {manifest.platform.system}"
    return f"""---
library_name: wardian
tags:
- wardian
- pytorch
---

{MADE_BY}

# {_plain(url.removeprefix("hf://").rpartition("/")[0])}

A PyTorch model with its code and weights in one sealed file.

```python
# pip install 'wardian[hub]'
import wardian

model = wardian.load({url!r}{name}, digest={summary.digest!r})
```

Loading runs the code in the file. Looking at it does not: `wardian info {url}`, `wardian audit {url}`.

## What is in it

{_lines(entries)}

{summary.parameters:,} parameters{": " if weights else ""}{"; ".join(weights)}.

{_lines(["Packed code, and its licences:", "", *inside]) if inside else "It has no code of its own."}

## What it needs

{_lines(["```", *needs, "```"]) if needs else "Nothing beside PyTorch and Wardian."}

Made with {_plain(made)}. Proven when it was packed: {summary.proof}.

Digest: `{summary.digest}`
"""


def _licence_text(expression: str | None) -> str:
    """Return what a distribution says about its licence, as the end of a line."""
    return f", {_plain(expression)}" if expression else ", its metadata name no licence"


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text of the file without what Markdown or HTML would read."""
    return re.sub(r"[^\w .,:;+=~<>!/@-]", "", text).replace("<", "&lt;")


def _code(text: str) -> str:
    return "`" + re.sub(r"[`\s]+", " ", text) + "`"
