"""The program in the cage: it gives up its rights, opens one case, and answers questions about it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
from typing import Any, NoReturn

from wardian.processes.ties import end_with_parent
from wardian.sandbox import landlock, syscalls
from wardian.sandbox.limits import drop_rights, limit_resources
from wardian.sandbox.memory import Region
from wardian.sandbox.wire import LENGTH, decode, encode, pack, unpack

__all__ = ["main"]

_TEXT = 8_000
"""Characters of an error that are told."""
_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x00020000
"""Flags for new namespaces of users, networks, shared means of processes, and mounts (`man 2 unshare`)."""
_NO_DEVICES = 2 | 4
"""Nor programs that run with other rights (`man 2 mount`)."""
_MOST_FILES = 1 << 18


def main(told_text: str) -> NoReturn:
    """Do what the parent process asks until it has enough.

    Args:
        told_text: What `wardian.sandbox.launching` tells, in JSON.
    """
    told = json.loads(told_text)
    asking = socket.socket(fileno=told["socket"])
    rules = told["landlock"]
    if rules is not None:
        end_with_parent(told["parent"])
        _enter_namespaces(rules["home"], told["limits"]["memory"])
        drop_rights()
        landlock.restrict(rules["read"], rules["write"])
    else:
        drop_rights()
    # Everything that is needed is imported now: it is more than strangers' code may use.
    from wardian.loading.case import Case
    from wardian.tensors import crossing

    limit_resources(memory=told["limits"]["memory"], seconds=told["limits"]["seconds"])
    syscalls.restrict()
    service = _Service(asking, Case, crossing, told)
    service.answer({"ok": None})
    service.serve()


def _enter_namespaces(home: str, size: int) -> None:
    """Enter namespaces of one's own, where the kernel lets everybody; the filter refuses sockets anyway.

    Args:
        home: The folder that may be written: there it becomes one in memory, which has an end.
        size: Bytes that it may hold.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NAMESPACES) != 0:
        return
    with contextlib.suppress(OSError):  # without them the process is nobody, which will do
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    # Where that is refused, each file has an end.
    options = f"size={size},nr_inodes={_MOST_FILES},mode=700"
    libc.mount(b"tmpfs", os.fsencode(home), b"tmpfs", _NO_DEVICES, options.encode())


class _Service:
    """Answers the questions of the parent process."""

    def __init__(self, asking: socket.socket, case: Any, crossing: Any, told: dict[str, Any]) -> None:
        self._asking = asking
        self._open = case.open
        self._crossing = crossing
        self._told = told
        self._region: Region | None = None
        self._case: Any = None
        self._object: Any = None

    def serve(self) -> NoReturn:
        while True:
            question = self._receive()
            try:
                answer = self._answer_to(question)
            except BaseException as error:  # noqa: BLE001  whatever strangers' code raises
                answer = {"error": _described(error)}
            self.answer(answer)

    def answer(self, message: dict[str, Any]) -> None:
        try:
            content = pack(message)
        except (TypeError, ValueError) as error:  # an integer that is longer than Python writes
            content = pack({"error": _described(error)})
        self._asking.sendall(content)

    def _answer_to(self, question: dict[str, Any]) -> dict[str, Any]:
        work = question["do"]
        if work == "open":
            self._case = self._open(self._told["path"], digest=self._told["digest"])
            return {"ok": None}
        if work == "load":
            self._object = self._case.load(question["entry"])
            return {"ok": None}
        if work == "check":
            from wardian.loading.checks import check_plainly

            entry, exact = question["entry"], question["exact"]
            return {"ok": check_plainly(lambda: self._case.check(entry, exact=exact))}
        return self._call(question)

    def _call(self, question: dict[str, Any]) -> dict[str, Any]:
        region = self._region
        given = self._crossing.received(question["tensors"], region.map, region.size) if region else []
        arguments, named = decode(question["arguments"], given)
        target = self._object
        if question["method"] is not None:
            target = getattr(target, question["method"])
        found = self._crossing.call_with(target, arguments, named)
        outgoing = self._crossing.Outgoing()
        form = encode(found, outgoing.put)
        if outgoing.size > (region.size if region else 0):
            # The parent makes the memory: what it reads must not be cut while it does.
            self.answer({"grow": outgoing.size})
            self._receive()
            region = self._region
        if outgoing.size and region is not None:
            outgoing.write(region.map)
        return {"ok": form, "tensors": outgoing.described}

    def _receive(self) -> dict[str, Any]:
        head, descriptors, _, _ = socket.recv_fds(self._asking, LENGTH.size, 1)
        if not head:
            os._exit(0)
        if descriptors:
            if self._region is not None:
                self._region.close()
            self._region = Region(descriptors[0], os.fstat(descriptors[0]).st_size)
        head += self._read(LENGTH.size - len(head))
        return unpack(self._read(LENGTH.unpack(head)[0]))

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._asking.recv(size - len(parts))
            if not part:
                os._exit(0)
            parts += part
        return bytes(parts)


def _described(error: BaseException) -> dict[str, str]:
    try:
        text = str(error)[:_TEXT]
    except Exception:  # noqa: BLE001  an error of strangers' code
        text = ""
    return {"type": type(error).__name__[:100], "text": text}
