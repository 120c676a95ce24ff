"""Bytecode of packed modules."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
import types
from collections.abc import Callable, Iterator, Mapping

from wardian.domain.decisions import PackedFile
from wardian.domain.names import SHIMMED, ModuleName, RecordName, record_name, top_level
from wardian.domain.plan import Plan
from wardian.domain.record_names import bytecode_record
from wardian.source.locations import without_columns
from wardian.source.parsing import batch
from wardian.source.remembered import compile_once
from wardian.source.rewriting import dump_code

__all__ = ["compiled", "compiled_modules", "is_library", "without_path"]


def is_library(plan: Plan, module: ModuleName) -> bool:
    """Tell whether all that is packed under the top-level name of a module is of distributions.

    A module that a library has rendered beside its own is of nobody when it is packed first, and of the
    library when it is packed again; both plans have the library and something of nobody under that name.
    """
    own = (root for found in plan.distributions if found.version is None for root in found.roots)
    return top_level(module) not in own


def compiled_modules(
    plan: Plan, sources: Mapping[PackedFile, bytes], roots: frozenset[str]
) -> Iterator[tuple[RecordName, bytes]]:
    """Compile the modules that run (docs/reference/format.md, 5.3), one by one."""
    tag = sys.implementation.cache_tag
    if tag is None:  # an interpreter that keeps no bytecode
        return
    with batch():
        for file, source in sources.items():
            if file.module not in plan.loaded:
                continue
            assert file.module is not None
            try:
                library = is_library(plan, file.module)
                bytecode = compiled(source, file.module, file.record, roots, of_distribution=library)
            except SyntaxError:  # nobody has imported it: it may be for another Python
                continue
            yield record_name(bytecode_record(tag, file.record.removesuffix(".py"))), bytecode


def compiled(
    source: bytes,
    module: ModuleName,
    record: str,
    roots: frozenset[str],
    tree: Callable[[], ast.Module] | None = None,
    *,
    of_distribution: bool,
) -> bytes:
    """Return the bytecode record of a module.

    Args:
        source: Of the module.
        module: Its name.
        record: Name of the record of the source.
        roots: Top-level names of packed modules.
        tree: As for `wardian.source.rewriting.compile_module`.
        of_distribution: Whether it is of an installed distribution. Then it has lines and no columns, of
            which a user has little, and which would be a quarter of what is deflated.

    Raises:
        SyntaxError: if the source is for another Python.
    """
    is_package = record.endswith("/__init__.py")
    code = compile_once(
        source,
        module,
        is_package=is_package,
        filename=record,
        roots=roots | SHIMMED,
        columns=not of_distribution,
        tree=tree,
    )
    # PEP 552: hash-based (bit 0), not checked against the source (bit 1 clear): the digest did that.
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source) + code


def without_path(data: bytes, record: str, *, of_distribution: bool) -> bytes:
    """Return a `.pyc` file as an unchecked one (the format, 5.3), its code objects named by record.

    Of a distribution it has no columns, as what `compiled` returns.
    """

    def rename(code: types.CodeType) -> types.CodeType:
        constants = tuple(rename(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
        return code.replace(co_filename=name, co_consts=constants)

    name = record.split("/", 3)[3].removesuffix("c")
    code = rename(marshal.loads(data[16:]))  # noqa: S302 - bytecode that this interpreter runs already
    if of_distribution:
        code = without_columns(code)
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + dump_code(code)
