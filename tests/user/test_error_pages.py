"""What a user sees of an error ends with the place in the documentation that explains it."""

from __future__ import annotations

from pathlib import Path

from tests.support import finish, start_python

BAD = b"this is no case"


def test_a_traceback_ends_with_the_page(tmp_path: Path) -> None:
    (tmp_path / "model.case").write_bytes(BAD)
    script = """
        import pickle, traceback, wardian
        from wardian.package import PackageImporter
        for load in (wardian.load, PackageImporter):
            try:
                load("model.case")
            except wardian.WardianError as error:
                for told in (error, pickle.loads(pickle.dumps(error))):
                    print("".join(traceback.format_exception(told)).splitlines()[-1])
    """
    out = finish(start_python(script, folder=tmp_path))
    assert out.splitlines() == [
        *["NotACaseError: see docs/reference/errors.md#notacaseerror"] * 2,
        *["NotAPackageError: see docs/reference/errors.md#notacaseerror"] * 2,
    ]


def test_the_command_line_ends_with_the_page(tmp_path: Path) -> None:
    (tmp_path / "model.case").write_bytes(BAD)
    script = """
        import contextlib, io
        from wardian.cli.app import run
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            assert run(["info", "model.case"]) == 2
            assert run(["info", "nothing.case"]) == 2
        print(told.getvalue())
    """
    out = finish(start_python(script, folder=tmp_path))
    assert out.count("see: docs/reference/errors.md#notacaseerror") == 1
    assert out.count("see:") == 1  # an error of the system has no page
