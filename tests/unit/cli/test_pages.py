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
        "differs: 56 files, proof",
        *(f"file old/{number:02}.py: removed" for number in range(20)),
        "and 10 more files are removed; list them: --all",
        "file mylib/new.py: added",
    ]
    assert cut[23:124] == [*lines[:100], "and 50 more lines of mylib/00.py; show them: --all"]
    assert cut[-2:] == ["and 5 more sources are changed; show them: --all", "proof: skipped became passed"]
    assert len(cut) == 23 + 20 * 101 + 1 + 1
    whole = [line.text for line in diff_page(differences, shows_all=True)]
    assert len(whole) == 1 + 30 + 1 + 1 + 26 * 150


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
        "differs: proof, 1 tensor",
        code,
        "proof: skipped became passed",
        f"tensor {LONG}: float32[1024, 1024] became int8[1024, 1024]",
    ]
    assert [line.is_whole for line in lines] == [False, True, False, False]


def test_a_diff_tells_code_then_what_is_installed_then_the_rest_then_tensors() -> None:
    differences = Differences(
        changes=(
            Change(what="entry point", name="model", before="mylib.Old", after="mylib.New"),
            Change(what="self-test", name="model", before=None, after="with outputs"),
            Change(what="distribution", name="timm", before="1.0", after="1.1"),
            Change(what="extern", name="numpy", before="2.1 (needed)", after=None),
            Change(what="note", name="by", before="ann", after="bob"),
            _file("mylib/nn.py", "a", "b"),
            _file("mylib/old.py", "a", None),
        ),
        tensors=(
            TensorChange(name="w", how="added", before=None, after="float32[1]", distance=None),
            TensorChange(name="b", how="removed", before="float32[1]", after=None, distance=None),
        ),
        sources={"mylib/nn.py": ("-x = 1", "+x = 2")},
    )
    assert [line.text for line in diff_page(differences)] == [
        "differs: 2 files, 1 distribution, 1 extern, 1 entry point, 1 self-test, 1 note, 2 tensors",
        "file mylib/old.py: removed",
        "-x = 1",
        "+x = 2",
        "distribution timm: 1.0 became 1.1",
        "- extern numpy 2.1 (needed)",
        "entry point model: mylib.Old became mylib.New",
        "+ self-test model with outputs",
        "note by: ann became bob",
        "tensor b: removed, float32[1]",
        "tensor w: added, float32[1]",
    ]
