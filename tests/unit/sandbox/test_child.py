"""What the program in the cage answers to the questions of its parent."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.support import run_python, write_case
from wardian.archive import ArchiveReader
from wardian.loading.case import Case
from wardian.loading.checks import check_plainly
from wardian.sandbox import child
from wardian.sandbox.memory import Region
from wardian.sandbox.wire import LENGTH, decode, encode, pack, unpack
from wardian.tensors import crossing

OAK = """
class Oak:
    def __call__(self, x, by=1):
        return [x * by, "grown"]

    def twice(self, x):
        return x.repeat(2)

    def fall(self, text):
        raise ValueError(text)

    def vanish(self):
        raise SystemExit("bye")

    def answer(self, what):
        return {"object": object(), "number": 10 ** 5000}[what]

class Odd(Exception):
    def __str__(self):
        raise RuntimeError

def odd():
    raise Odd
oak = Oak()
oak.odd = odd
"""
PICKLE = b"\x80\x04\x8c\x03oak\x8c\x03oak\x93."


class Parent:
    """The end of the wire that asks."""

    def __init__(self, asking: socket.socket, path: Path) -> None:
        self._asking = asking
        self.path = path
        self.region: Region | None = None

    def ask(self, question: dict[str, Any], *, region: Region | None = None) -> dict[str, Any]:
        content = pack(question)
        if region is not None:
            self.region = region
            socket.send_fds(self._asking, [content[:1]], [region.descriptor])
            content = content[1:]
        self._asking.sendall(content)
        size = LENGTH.unpack(self._asking.recv(LENGTH.size, socket.MSG_WAITALL))[0]
        return unpack(self._asking.recv(size, socket.MSG_WAITALL))

    def call(
        self, method: str | None, *given: object, region: Region | None = None, **named: object
    ) -> dict[str, Any]:
        outgoing = crossing.Outgoing()
        form = encode((given, named), outgoing.put)
        if region is not None and outgoing.size:
            outgoing.write(region.map)
        question = {"do": "call", "method": method, "arguments": form, "tensors": outgoing.described}
        return self.ask(question, region=region)


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """Has a child in a thread, with nothing kept from it."""
    path = write_case(tmp_path / "oak.case", {"oak.py": OAK}, pickle=PICKLE)
    with ArchiveReader.open(path) as archive:
        told = {"path": str(path), "digest": archive.fingerprint}
    ours, theirs = socket.socketpair()
    opened: list[Case] = []

    def opening(*given: Any, **named: Any) -> Case:
        opened.append(Case.open(*given, **named))
        return opened[-1]

    service = child._Service(theirs, SimpleNamespace(open=opening), crossing, told)
    monkeypatch.setattr(os, "_exit", sys.exit)

    def serve() -> None:
        with theirs, contextlib.suppress(SystemExit):
            service.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    with ours:
        asking = Parent(ours, path)
        try:
            yield asking
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join()
    for region in (service._region, asking.region):
        if region is not None:
            region.close()
    for case in opened:
        case.close()


@pytest.fixture
def loaded(parent: Parent) -> Parent:
    assert parent.ask({"do": "open"}) == {"ok": None}
    assert parent.ask({"do": "load", "entry": None}) == {"ok": None}
    return parent


def test_an_object_is_called_with_what_came_and_its_answer_goes_back(loaded: Parent) -> None:
    answer = loaded.call(None, torch.arange(3), by=2, region=(region := Region.make(4096)))
    found = decode(answer["ok"], crossing.received(answer["tensors"], region.map, region.size))
    assert torch.equal(found[0], torch.arange(3) * 2)
    assert found[1] == "grown"


def test_memory_for_an_answer_is_asked_of_the_parent(loaded: Parent) -> None:
    answer = loaded.call(None, 3)
    assert answer == {"ok": ["l", 3, "grown"], "tensors": []}
    small = Region.make(1)
    asked = loaded.call("twice", torch.ones(small.size // 4), region=small)
    assert asked == {"grow": 2 * small.size}
    small.close()
    region = Region.make(asked["grow"])
    answer = loaded.ask({"do": "go on"}, region=region)
    found = decode(answer["ok"], crossing.received(answer["tensors"], region.map, region.size))
    assert torch.equal(found, torch.ones(small.size // 2))


@pytest.mark.parametrize(
    ("method", "given", "kind", "text"),
    [
        ("fall", ["no"], "ValueError", "no"),
        ("fall", ["x" * 9000], "ValueError", "x" * 8000),
        ("vanish", [], "SystemExit", "bye"),
        ("odd", [], "Odd", ""),
        ("missing", [], "AttributeError", "'Oak' object has no attribute 'missing'"),
        ("answer", ["object"], "CrossingError", None),
        ("answer", ["number"], "ValueError", None),
    ],
)
def test_whatever_code_raises_is_an_answer_and_the_next_question_is_taken(
    method: str, given: list[object], kind: str, text: str | None, loaded: Parent
) -> None:
    error = loaded.call(method, *given)["error"]
    assert error["type"] == kind
    assert text in (None, error["text"])
    assert loaded.call(None, 1)["ok"] == ["l", 1, "grown"]


def test_a_case_with_another_digest_is_not_opened(parent: Parent, tmp_path: Path) -> None:
    write_case(tmp_path / "oak.case", {"oak.py": "evil = 1"}, pickle=PICKLE)
    assert parent.ask({"do": "open"})["error"]["type"] == "DigestMismatchError"


def test_a_report_of_self_tests_goes_back_as_plain_data(loaded: Parent) -> None:
    report = loaded.ask({"do": "check", "entry": None, "exact": True})["ok"]
    with Case.open(loaded.path) as case:
        assert report == check_plainly(lambda: case.check(exact=True))
    assert (
        "no entry point 'elm'" in loaded.ask({"do": "check", "entry": "elm", "exact": True})["error"]["text"]
    )


def test_the_program_gives_up_its_rights_before_it_greets(tmp_path: Path) -> None:
    script = """
        import json, os, socket, sys
        from wardian.sandbox.child import main
        from wardian.sandbox.wire import LENGTH, pack, unpack

        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            ours.close()
            told = {"socket": theirs.detach(), "landlock": None, "limits": {"memory": 1 << 30, "seconds": 60}}
            main(json.dumps({**told, "path": "/nowhere.case", "digest": "0" * 64}))
        theirs.close()

        def answer():
            return unpack(ours.recv(LENGTH.unpack(ours.recv(4, socket.MSG_WAITALL))[0], socket.MSG_WAITALL))

        print(answer())
        ours.sendall(pack({"do": "open"}))
        print(answer()["error"]["type"])
        ours.close()
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert run_python(script, folder=tmp_path).splitlines() == ["{'ok': None}", "FileNotFoundError", "0"]
