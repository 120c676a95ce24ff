"""Where the modules that broke an export came from."""

from __future__ import annotations

from wardian.package.package_exporter import PackageTypeError, PackagingError

__all__ = ["find_first_use_of_broken_modules"]


def find_first_use_of_broken_modules(exc: PackagingError) -> dict[str, list[str]]:
    """Return how each broken module came into a package.

    Args:
        exc: What the export raised.

    Returns:
        Broken module → the modules (or pickles, as `<package.resource>`) by which it was first reached,
        itself the last.

    Raises:
        PackageTypeError: if *exc* is another kind of error; it is a `TypeError`.
    """
    if not isinstance(exc, PackagingError):
        raise PackageTypeError(f"exc must be a PackagingError, not {type(exc).__name__}")
    graph = exc.dependency_graph
    return {name: graph.first_path(name) for name, node in graph.nodes.items() if node.get("error")}
