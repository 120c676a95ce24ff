"""The manifest: what a case says about itself, as frozen dataclasses and as JSON (the format, 3)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from math import prod
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Literal, cast, get_args, get_type_hints

from wardian.collector import collector_paused
from wardian.domain.digests import RecordDigest
from wardian.domain.json_readers import InvalidError, Reader, Readers
from wardian.domain.names import top_level
from wardian.domain.record_names import MANIFEST
from wardian.errors import CorruptCaseError, UnsupportedFormatError
from wardian.wording import count_text

__all__ = [
    "Entry",
    "Extern",
    "FORMAT_VERSION",
    "Interpreter",
    "Library",
    "Manifest",
    "PackedDistribution",
    "Platform",
    "TensorEntry",
    "TensorForm",
    "TensorPart",
    "group_record",
]

FORMAT_VERSION = 1
"""Number of the format this module writes.

To raise it: (1) describe the change in docs/reference/format.md and its schema; (2) move the reading of the
old number to `wardian.manifest_v<old>`, which returns today's `Manifest`; (3) add a case of the old number to
`tests/compat`; (4) change this number. Raise it only if a reader of the old number could misread a file.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python that packed."""

    version: str
    implementation: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The machine that packed."""

    system: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of the case."""

    name: str
    record: str
    type: str
    """Dotted name of its class."""
    test: str | None
    """Record of its self-test."""
    outputs: bool
    """Whether the self-test holds expected outputs."""


_CAPTURED = re.compile(r"captured(?:_\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedDistribution:
    """A distribution, or first-party code, whose modules are in the case."""

    name: str
    version: str | None
    """None for first-party code."""
    roots: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name and version, as people read it.

        Code that no import leads to, of a script or a function, stands in a package that was made for it
        (docs/reference/format.md, 5.6).

        >>> PackedDistribution(name="timm", version="1.0.31", roots=("timm",)).title
        'timm 1.0.31'
        >>> PackedDistribution(name="first-party", version=None, roots=("captured",)).title
        'captured code'
        """
        if self.version is None and self.roots and all(map(_CAPTURED.fullmatch, self.roots)):
            return "captured code"
        return f"{self.name} {self.version or ''}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extern:
    """A distribution, or modules without one, that the environment must provide."""

    distribution: str | None
    """None if no distribution owns the modules."""
    version: str | None
    modules: tuple[str, ...]
    names: tuple[str, ...]
    """Dotted names that packed code imports from it with `from ... import`."""
    soft: bool
    """Nothing at import or in the self-test uses it."""

    @property
    def name(self) -> str:
        """Its name in messages: the distribution, or if none has its modules, their top-level name."""
        return self.distribution or top_level(self.modules[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A shared library that registers operators when it is loaded."""

    record: str
    operators: tuple[str, ...]
    """Schemas of the operators that the libraries of the case register."""
    torch: str
    system: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPart:
    """A plain tensor that another one is made of: its values in a storage record."""

    record: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    """In elements from the start of the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorForm:
    """The properties of a tensor that is not plain (docs/reference/format.md, 3.6)."""

    layout: Literal[
        "strided",
        "sparse_coo",
        "sparse_csr",
        "sparse_csc",
        "sparse_bsr",
        "sparse_bsc",
        "nested",
        "jagged",
        "uninitialized",
    ] = "strided"
    type: str | None = None
    """Dotted name of the class, if only its code can make the tensor."""
    conj: bool = False
    """The values are the complex conjugates of what is in the record."""
    neg: bool = False
    """The values are the negatives of what is in the record."""
    qscheme: Literal["per_tensor_affine", "per_channel_affine", "per_channel_affine_float_qparams"] | None = (
        None
    )
    scale: str | None = None
    """The scale of `per_tensor_affine`, as `float.hex` writes it."""
    zero_point: str | None = None
    """The same, decimal."""
    axis: int | None = None
    """Number of the axis: that of the channels, or the one that is jagged."""
    parts: Mapping[str, TensorPart] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """Where the values of one named tensor are."""

    entry: str
    name: str
    record: str | None
    """None if the tensor has no values of its own: on the meta device, or made of parts."""
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    """In elements from the start of the record."""
    requires_grad: bool
    kind: Literal["parameter", "buffer", "transient"]
    """`transient` is a buffer that is not part of the state_dict."""
    form: TensorForm | None = None
    """None for what the keys above describe in full."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Manifest:
    """Everything a case says about itself; the keys are explained in docs/reference/format.md, section 3."""

    format: int
    python: Interpreter
    torch: str
    platform: Platform
    entries: tuple[Entry, ...]
    distributions: tuple[PackedDistribution, ...]
    externs: tuple[Extern, ...]
    absent: tuple[str, ...]
    mocks: tuple[str, ...]
    deferred: tuple[str, ...]
    bytecode_only: tuple[str, ...]
    libraries: tuple[Library, ...]
    materialised: tuple[str, ...]
    tensors: tuple[TensorEntry, ...]
    records: Mapping[str, RecordDigest]
    proof: Literal["passed", "skipped"]
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def roots(self) -> frozenset[str]:
        """Top-level names that packed code and pickles find in the case."""
        mocked = {top_level(name) for name in self.mocks}
        return frozenset(root for d in self.distributions for root in d.roots) | mocked

    @property
    def entry_points(self) -> tuple[Entry, ...]:
        """The entries without groups of others (docs/reference/format.md, 3.7)."""
        groups = {id(group) for group in self.groups.values()}
        return tuple(entry for entry in self.entries if id(entry) not in groups)

    @property
    def groups(self) -> Mapping[str, Entry]:
        """The entry that holds an entry point together with those it shares objects with, by its name."""
        names = {entry.name for entry in self.entries}
        found: dict[str, Entry] = {}
        for entry in self.entries:
            members = entry.name.split("+")
            if len(members) > 1 and names.issuperset(members) and entry.record == group_record(members):
                found |= dict.fromkeys(members, entry)
        return found

    @property
    def proven(self) -> str:
        """The outcome of the proof when the case was made, in words."""
        if self.proof == "skipped":
            return "not proven"
        outcomes = {entry.name: _outcome(entry) for entry in self.entry_points}
        if len(set(outcomes.values())) > 1:
            return "; ".join(
                f"{name}: {outcome.replace('the object was ', '')}" for name, outcome in outcomes.items()
            )
        outcome = next(iter(outcomes.values()), _NO_INPUTS)
        return outcome.replace("the object", "each object") if len(outcomes) > 1 else outcome

    def __repr__(self) -> str:
        points = self.entry_points
        entries = ", ".join(f"{entry.name} ({entry.type})" for entry in points[:3])
        more = f" and {len(points) - 3} more" if len(points) > 3 else ""
        return (
            f"<Manifest of {entries}{more}: {count_text(len(self.distributions), 'distribution')} inside,"
            f" {count_text(len(self.externs), 'extern')}, {count_text(len(self.tensors), 'tensor')},"
            f" {count_text(len(self.records), 'record')};"
            f" {self.proven}>"
        )

    def to_json(self) -> bytes:
        """Return the canonical JSON document.

        Equal manifests give equal bytes, and `Manifest.from_json(m.to_json()) == m`.
        """
        parts = {f.name: _dumps(getattr(self, f.name)) for f in fields(self) if f.name not in _MANY}
        # There may be a hundred thousand of these, and the encoder asks for each and sorts its keys.
        parts["tensors"] = f"[{','.join(map(_tensor_json, self.tensors))}]"
        records = [f"{_quoted(name)}:{_digest_json(d)}" for name, d in sorted(self.records.items())]
        parts["records"] = f"{{{','.join(records)}}}"
        keys = [f'"{name}":{text}' for name, text in sorted(parts.items())]
        return f"{{{','.join(keys)}}}".encode()

    @classmethod
    @collector_paused()
    def from_json(cls, data: bytes, *, path: str | None) -> Manifest:
        """Read a manifest.

        Args:
            data: The JSON document.
            path: The file it comes from, for messages.

        Raises:
            UnsupportedFormatError: if its format is newer than this module knows.
            CorruptCaseError: if it is not a manifest; the message has the path into the document.
        """

        def refuse(why: str) -> CorruptCaseError:
            return CorruptCaseError(
                f"{path or 'case'}: the manifest is not valid: {why}",
                path=path,
                record=MANIFEST,
            )

        # Before anything is built: an object takes many times the bytes that it has here.
        if data.count(b"{") + data.count(b"[") > _CONTAINERS + len(data) // _BYTES_FOR_A_CONTAINER:
            raise refuse("it has more objects and lists than any manifest of its size")
        try:
            document = json.loads(data.decode())
        except (ValueError, RecursionError) as error:  # the parser stops at the interpreter's recursion limit
            raise refuse(str(error)) from None
        number = document.get("format") if isinstance(document, dict) else None
        if type(number) is int and number > FORMAT_VERSION:
            raise UnsupportedFormatError(
                f"{path or 'case'} has format {number}, this Wardian reads up to {FORMAT_VERSION}; "
                "install a newer one: pip install --upgrade wardian",
                path=path,
                format=number,
            )
        try:
            manifest = cast(Manifest, _READERS.read(document, cls, "manifest"))
        except InvalidError as error:
            raise refuse(_worse(data) or str(error)) from None
        for key in ("absent", "bytecode_only", "deferred", "materialised", "mocks"):
            names = getattr(manifest, key)
            if any(one >= other for one, other in pairwise(names)):
                raise refuse(f"manifest.{key} is not sorted, each name once")
        for tensor in manifest.tensors:
            for part in (tensor, *(tensor.form.parts.values() if tensor.form is not None else ())):
                if len(part.shape) > _MOST_AXES or prod(part.shape) >= 1 << 63:
                    raise refuse(f"tensor {tensor.name!r:.80} has more axes or elements than PyTorch counts")
        if manifest.format != FORMAT_VERSION:
            raise refuse(f"there is no format {manifest.format}")
        del document
        # One content has one digest, so it must not be written in two ways.
        try:
            canonical = manifest.to_json() == data
        except UnicodeEncodeError:
            canonical = False
        if not canonical:
            raise refuse(
                _worse(data)
                or "it is not in canonical form: keys sorted, no spaces, escapes only where needed"
            )
        return manifest


_NO_INPUTS = "only loaded: no inputs were given"


def _outcome(entry: Entry) -> str:
    if entry.test is None:
        return _NO_INPUTS
    if entry.outputs:
        return "the object was loaded and called, outputs equal"
    return "the object was loaded and called; its outputs cannot be kept, and were not compared"


def group_record(members: Iterable[str]) -> str:
    """Return the record of the group of some entry points (docs/reference/format.md, 3.7).

    >>> group_record(["model", "average"])
    'model+average/model+average.pkl'
    """
    name = "+".join(members)
    return f"{name}/{name}.pkl"


_MOST_AXES = 1024
_CONTAINERS = 131_072
_BYTES_FOR_A_CONTAINER = 24
"""A manifest has so many bytes for each object or list, but for the first few (the format, 7)."""


def _worse(data: bytes) -> str | None:
    """Return what is wrong with a document as JSON that manifests may not have, None if nothing is."""
    try:
        json.loads(data, object_pairs_hook=_no_duplicates, parse_float=_no_floats)
    except (ValueError, RecursionError) as error:
        return str(error)
    return None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _no_floats(text: str) -> Any:
    raise ValueError(f"{text} is not an integer")


_MANY = ("tensors", "records")
_quoted: Callable[[str], str] = json.encoder.encode_basestring


def _dumps(value: Any) -> str:
    return json.dumps(value, default=_to_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _tensor_json(tensor: TensorEntry) -> str:
    if tensor.form is not None:
        return _dumps(tensor)
    record = "null" if tensor.record is None else _quoted(tensor.record)
    return (
        f'{{"dtype":{_quoted(tensor.dtype)},"entry":{_quoted(tensor.entry)},"form":null,'
        f'"kind":"{tensor.kind}","name":{_quoted(tensor.name)},"offset":{tensor.offset},"record":{record},'
        f'"requires_grad":{"true" if tensor.requires_grad else "false"},'
        f'"shape":[{",".join(map(str, tensor.shape))}],"stride":[{",".join(map(str, tensor.stride))}]}}'
    )


def _digest_json(digest: RecordDigest) -> str:
    if digest.algorithm == "blake3":
        return f'{{"blake3":"{digest.hex}","size":{digest.size}}}'
    return f'{{"sha256":"{digest.hex}","size":{digest.size}}}'


_field_names: dict[type, tuple[str, ...]] = {}


def _to_plain(value: Any) -> Any:
    """Return one level of *value* as what JSON has: the encoder asks again for what lies inside."""
    kind = type(value)
    names = _field_names.get(kind)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    if isinstance(value, Mapping):
        return dict(value)
    _field_names[kind] = tuple(f.name for f in fields(value))
    return _to_plain(value)


_TENSOR_FIELDS = tuple(f.name for f in fields(TensorEntry))
_TENSOR_KEYS = frozenset(_TENSOR_FIELDS)
_TENSOR_KINDS = get_args(get_type_hints(TensorEntry)["kind"])


def _tensor_reader(readers: Readers) -> Reader:
    """Return the function that reads a tensor; of plain ones, there may be a hundred thousand in a case."""
    read_any = readers.of_object(TensorEntry)
    values = itemgetter(*_TENSOR_FIELDS)

    def read_tensor(value: Any, where: str) -> Any:
        if isinstance(value, dict) and value.keys() == _TENSOR_KEYS:
            entry, name, record, dtype, shape, stride, offset, requires_grad, kind, form = values(value)
            if (
                form is None
                and type(entry) is type(name) is type(record) is type(dtype) is str
                and _are_sizes(shape)
                and _are_sizes(stride)
                and type(offset) is int
                and 0 <= offset < 2**63
                and type(requires_grad) is bool
                and kind in _TENSOR_KINDS
            ):
                return TensorEntry(
                    entry=entry,
                    name=name,
                    record=record,
                    dtype=dtype,
                    shape=tuple(shape),
                    stride=tuple(stride),
                    offset=offset,
                    requires_grad=requires_grad,
                    kind=kind,
                    form=None,
                )
        return read_any(value, where)  # and say what is wrong with it

    return read_tensor


def _are_sizes(values: Any) -> bool:
    return type(values) is list and (
        not values or ({int}.issuperset(map(type, values)) and min(values) >= 0 and max(values) < 2**63)
    )


_HEX = frozenset("0123456789abcdef")


def _read_digest(value: Any, where: str) -> RecordDigest:
    if (
        isinstance(value, dict)
        and len(value) == 2
        and type(size := value.get("size")) is int
        and 0 <= size < 2**63
    ):
        for algorithm in ("sha256", "blake3"):
            text = value.get(algorithm)
            if isinstance(text, str) and len(text) == 64 and _HEX.issuperset(text):
                return RecordDigest(size, algorithm, text)
    raise InvalidError(f"{where} must have a size and one digest of 64 hexadecimal digits")


_READERS = Readers({RecordDigest: lambda _: _read_digest, TensorEntry: _tensor_reader})
