"""The lines of a page."""

from __future__ import annotations

from wardian.cli.output import folded
from wardian.cli.pages import diff_page
from wardian.inspection.differences import Change, Differences, TensorChange

LONG = ".".join(["encoder"] * 8)


def _file(name: str, before: str | None, after: str | None) -> Change:
    return Change(what="file", name=name, before=before, after=after)


def test_a_diff_of_much_begins_with_files_and_is_cut_unless_all_is_wanted() -> None:
    lines = tuple(f"+x{number}" for number in range(150))
    names = [f"mylib/{number:02}.py" for number in range(25)]
    differences = Differences(
        changes=(
            Change(what="proof", name="proof", before="skipped", after="passed"),
            _file("mylib/new.py", None, "b"),
            *(_file(f"old/{number:02}.py", "a", None) for number in range(30)),
            *(_file(name, "a", "b") for name in names),
        ),
        tensors=(),
        sources={"mylib/new.py": lines} | dict.fromkeys(names, lines),
    )
    cut = [line.text for line in diff_page(differences)]
    assert cut[:23] == [
        *(f"file old/{number:02}.py: removed" for number in range(20)),
        "and 10 more files are removed; list them: --all",
        "file mylib/new.py: added",
        "proof: skipped became passed",
    ]
    assert cut[23:124] == [*lines[:100], "and 50 more lines of mylib/00.py; show them: --all"]
    assert cut[-1] == "and 5 more sources are changed; show them: --all"
    assert len(cut) == 23 + 20 * 101 + 1
    whole = [line.text for line in diff_page(differences, shows_all=True)]
    assert len(whole) == 30 + 1 + 1 + 26 * 150


def test_a_shape_is_not_broken() -> None:
    assert folded("tensor w: float32[128, 64] became float32[64]", width=24) == [
        "tensor w:",
        "float32[128, 64] became",
        "float32[64]",
    ]


def test_a_diff_folds_facts_and_leaves_code_alone() -> None:
    code = "+" + "x = 1; " * 20
    differences = Differences(
        changes=(Change(what="proof", name="proof", before="skipped", after="passed"),),
        tensors=(
            TensorChange(
                name=LONG,
                how="retyped",
                before="float32[1024, 1024]",
                after="int8[1024, 1024]",
                distance=None,
            ),
        ),
        sources={"mylib/nn.py": (code,)},
    )
    lines = list(diff_page(differences))
    assert [line.text for line in lines] == [
        "proof: skipped became passed",
        f"tensor {LONG}: float32[1024, 1024] became int8[1024, 1024]",
        code,
    ]
    assert [line.is_whole for line in lines] == [False, False, True]
