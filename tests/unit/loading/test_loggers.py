"""What a packed library sets for its loggers holds for that library in that case."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import wardian
from tests.support import write_case

_LIBRARIES = """
--- rook/__init__.py
import logging, threading
library = logging.getLogger(__name__.split(".")[0])
library.setLevel(logging.ERROR)
library.propagate = False
library.addHandler(logging.NullHandler())
class Tone:
    logger = logging.root.manager.getLogger(f"{__name__.partition('.')[0]}.tones")
    child = logging.root.getChild(__name__.split(".")[0])
--- rook/song.py
import logging
logger = logging.getLogger(__name__)
--- wren.py
import logging
logger = logging.getLogger(__name__)
library = logging.getLogger(__name__.split(".", 1)[0])
"""


def test_libraries_have_loggers_of_their_own(tmp_path: Path) -> None:
    paths = [write_case(tmp_path / f"{name}.case", _LIBRARIES) for name in ("one", "two")]
    before = logging.getLogger("wardian")
    others = "getLogger" in vars(logging.root.manager)  # while a case of another test is open
    with wardian.open(paths[0]) as one, wardian.open(paths[1]) as two:
        rook = one.import_module("rook")
        song = one.import_module("rook.song")
        wren = one.import_module("wren")
        assert rook.library.name == rook.__name__
        assert song.logger.parent is rook.library
        assert rook.Tone.logger.parent is rook.library is rook.Tone.child
        assert not song.logger.isEnabledFor(logging.WARNING)
        assert wren.library is wren.logger
        assert wren.logger.getEffectiveLevel() == logging.root.level
        assert two.import_module("wren").library is not wren.library
        assert logging.getLogger("wardian") is before
        assert (before.level, before.propagate, before.handlers) == (logging.NOTSET, True, [])
    assert ("getLogger" in vars(logging.root.manager)) is others


def test_who_stands_in_for_the_manager_as_well_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wardian.open(write_case(tmp_path / "one.case", _LIBRARIES)):
        theirs = logging.root.manager.getLogger

        def wrapped(name: str) -> logging.Logger:
            return theirs(f"{name}.wrapped")

        monkeypatch.setitem(vars(logging.root.manager), "getLogger", wrapped)
    assert vars(logging.root.manager)["getLogger"] is wrapped
    monkeypatch.undo()
    vars(logging.root.manager).pop("getLogger", None)
