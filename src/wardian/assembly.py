"""Stage 3: put what the plan names, and the manifest, into the archive."""

from __future__ import annotations

import importlib.util
import marshal
import platform
import re
import string
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from wardian.archive import ArchiveWriter, RecordDigest
from wardian.collector import collector_paused
from wardian.decisions import PackedFile, Plan
from wardian.environment import is_stdlib
from wardian.errors import PackError, Problem
from wardian.graph import ImportContext
from wardian.manifest import (
    FORMAT_VERSION,
    Entry,
    Interpreter,
    Library,
    Manifest,
    Platform,
    TensorEntry,
)
from wardian.names import ModuleName, RecordName, record_name
from wardian.remembered import compile_once
from wardian.rewrite import SHIMMED, dump_code
from wardian.source import batch

__all__ = ["Contents", "amend", "assemble"]

_IMPORT = re.compile(rb"import(?=[ \t]+([\w.]+(?:[ \t]*,[ \t]*[\w.]+)*)|[ \t(*])")
"""The word that every import has.

A search that starts with a literal is several times faster than one for the beginnings of lines.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a case holds beside its code."""

    entries: tuple[Entry, ...]
    pickles: Mapping[RecordName, bytes]
    """Of the entries and of their self-tests."""
    tensors: tuple[TensorEntry, ...]
    resources: Mapping[RecordName, bytes]
    metadata: Mapping[str, str]
    torch: str
    deferred: tuple[str, ...] = ()
    bytecode_only: tuple[str, ...] = ()
    proof: Literal["passed", "skipped"]
    sources: Mapping[RecordName, bytes] = field(default_factory=dict)
    """Content of files of the plan that are not on the disk."""
    extern_modules: tuple[str, ...] | None = None
    """What `torch.package` may import from the environment; None finds it out."""


@collector_paused()
def assemble(archive: ArchiveWriter, plan: Plan, contents: Contents) -> tuple[Manifest, str]:
    """Add every record of a case to *archive* and finish it.

    Args:
        archive: Holds the storages already.
        plan: What code and data go in.
        contents: The rest.

    Returns:
        The manifest that was written, and the digest of the case.

    Raises:
        PackError: if a file of the plan cannot be read any more, or a resource has a name that is taken.
    """
    records: dict[RecordName, bytes] = {}
    problems: list[Problem] = []
    for file in plan.files:
        try:
            known = contents.sources.get(file.record, file.content)
            data = Path(file.path).read_bytes() if known is None else known
            is_bytecode = file.module is not None and file.record.endswith(".pyc")
            records[file.record] = _without_path(data, file.record) if is_bytecode else data
        except OSError as error:
            problems.append(Problem(f"{file.path} cannot be read: {error.strerror}", "", file.module))
    problems += [
        Problem(f"{name} is both a pickle and a file beside the code", 'pack(..., name="another")')
        for name in sorted(records.keys() & contents.pickles.keys())
    ]
    taken = {*records, *contents.pickles, RecordName("byteorder")}
    folders = {folder for name in (*taken, *contents.resources) for folder in _folders_above(name)}
    for name, data in contents.resources.items():
        if name in taken or name in folders or not taken.isdisjoint(_folders_above(name)):
            problems.append(
                Problem(f"resource {name} has the name of another file or folder", "rename the resource")
            )
        records[name] = data
    if problems:
        raise PackError("the case cannot be written", problems=problems)
    # The archive deflates what it has in the background while the modules are compiled.
    for name, data in records.items():
        archive.add(name, data)
    builds = [records[name] for name in plan.libraries]
    skeleton = _manifest(plan, contents, tuple(o for o in plan.operators if _mentions(builds, o)))
    sources = {f: records[f.record] for f in plan.files if f.module is not None and f.record.endswith(".py")}
    for name, data in _bytecode(plan, sources, skeleton.roots):
        archive.add(name, data)
    records = _for_torch_package(plan, sources.values(), skeleton, contents.extern_modules)
    for distribution, files in plan.metadata.items():
        records |= {
            record_name(f".wardian/metadata/{distribution}/{name}"): data for name, data in files.items()
        }
    records |= contents.pickles
    for name, data in records.items():
        archive.add(name, data)
    written: list[Manifest] = []

    def document(digests: Mapping[RecordName, RecordDigest]) -> bytes:
        written.append(replace(skeleton, records={str(name): digest for name, digest in digests.items()}))
        return written[0].to_json()

    digest = archive.finish(document)
    return written[0], digest


def amend(archive: ArchiveWriter, manifest: Manifest) -> str:
    """Give a finished case another manifest, with the same records.

    Returns:
        The new digest of the case.
    """
    return archive.reseal(lambda digests: manifest.to_json())


def _folders_above(name: RecordName) -> Iterator[RecordName]:
    parts = name.split("/")
    return (RecordName("/".join(parts[:count])) for count in range(1, len(parts)))


def _mentions(builds: Iterable[bytes], schema: str) -> bool:
    """Tell whether one of the shared libraries registers an operator: it has the name in it.

    What else was registered while they were loaded is of PyTorch, or of a library that is not packed.
    """
    name = schema.partition("(")[0].partition(".")[0].rpartition("::")[2].encode()
    return any(_has_word(build, name) for build in builds)


def _has_word(content: bytes, word: bytes) -> bool:
    # A regular expression that begins with a look behind takes thirty times as long.
    start = content.find(word)
    while start != -1:
        end = start + len(word)
        if not _PART_OF_WORD.intersection(content[max(start - 1, 0) : start] + content[end : end + 1]):
            return True
        start = content.find(word, start + 1)
    return False


_PART_OF_WORD = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"_")


def _manifest(plan: Plan, contents: Contents, operators: tuple[str, ...]) -> Manifest:
    libraries = tuple(
        Library(
            record=record,
            operators=operators,
            torch=contents.torch,
            system=platform.system(),
            machine=platform.machine(),
        )
        for record in plan.libraries
    )
    return Manifest(
        format=FORMAT_VERSION,
        python=Interpreter(
            version=platform.python_version(),
            implementation=sys.implementation.name,
            tag=sys.implementation.cache_tag or "",
        ),
        torch=contents.torch,
        platform=Platform(system=platform.system(), machine=platform.machine()),
        entries=contents.entries,
        distributions=plan.distributions,
        externs=plan.externs,
        absent=plan.absent,
        mocks=plan.mocks,
        deferred=contents.deferred,
        bytecode_only=contents.bytecode_only,
        libraries=libraries,
        materialised=plan.materialised,
        tensors=contents.tensors,
        records={},
        proof=contents.proof,
        metadata=dict(sorted(contents.metadata.items())),
    )


def _bytecode(
    plan: Plan, sources: Mapping[PackedFile, bytes], roots: frozenset[str]
) -> Iterator[tuple[RecordName, bytes]]:
    """Compile the modules that run (docs/format.md, 5.3), one by one."""
    tag = sys.implementation.cache_tag
    if tag is None:  # an interpreter that keeps no bytecode
        return
    with batch():
        for file, source in sources.items():
            if file.module not in plan.loaded:
                continue
            assert file.module is not None
            code = compile_once(
                source,
                file.module,
                is_package=file.record.endswith("/__init__.py"),
                filename=file.record,
                roots=roots | SHIMMED,
            )
            # PEP 552: hash-based (bit 0), not checked against the source (bit 1 clear): the digest did that.
            header = (
                importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
            )
            name = record_name(f".wardian/bytecode/{tag}/{file.record.removesuffix('.py')}.pyc")
            yield name, header + code


def _without_path(data: bytes, record: str) -> bytes:
    """Return a `.pyc` file as an unchecked one (docs/format.md, 5.3), its code objects named by record."""

    def rename(code: types.CodeType) -> types.CodeType:
        constants = tuple(rename(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
        return code.replace(co_filename=name, co_consts=constants)

    name = record.split("/", 3)[3].removesuffix("c")
    code = rename(marshal.loads(data[16:]))  # noqa: S302 - bytecode that this interpreter runs already
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + dump_code(code)


def _for_torch_package(
    plan: Plan, sources: Iterable[bytes], manifest: Manifest, extern_modules: tuple[str, ...] | None
) -> dict[RecordName, bytes]:
    """Return the records by which `torch.package` knows an archive (docs/format.md, 2)."""
    names = (
        list(extern_modules) if extern_modules is not None else _top_level_externs(plan, sources, manifest)
    )
    return {
        RecordName(".data/extern_modules"): "".join(f"{name}\n" for name in names).encode(),
        RecordName(".data/python_version"): platform.python_version().encode(),
        RecordName(".data/version"): b"6\n",
        RecordName("byteorder"): sys.byteorder.encode(),
    }


def _top_level_externs(plan: Plan, sources: Iterable[bytes], manifest: Manifest) -> list[str]:
    outside: set[str] = {module.partition(".")[0] for extern in plan.externs for module in extern.modules}
    for edge in plan.graph:
        if edge.context is ImportContext.PICKLED and is_stdlib(edge.imported):
            outside.add(edge.imported.partition(".")[0])
    names: set[bytes] = set()
    for source in sources:
        for match in _IMPORT.finditer(source):
            before = source[source.rfind(b"\n", 0, match.start()) + 1 : match.start()].strip()
            if before.startswith(b"from "):
                names.add(before[5:])
            elif not before and match[1] is not None:
                names.update(match[1].split(b","))
    tops = {name.decode("utf-8", "replace").strip().partition(".")[0] for name in names}
    outside |= {top for top in tops if is_stdlib(ModuleName(top))}
    return sorted(outside - manifest.roots - {"__main__"})
