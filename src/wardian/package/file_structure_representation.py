"""The files of a package as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wardian.package.glob_group import GlobGroup, GlobPattern

__all__ = ["Directory", "make_directory"]


class Directory:
    """A file or a folder of a package; `print` shows the tree.

    `PackageImporter.file_structure` makes them.

    Args:
        name: Its own name, without those above.
        is_dir: Whether it is a folder.

    Attributes:
        children: What a folder holds, by name.
    """

    def __init__(self, name: str, is_dir: bool) -> None:
        self.name = name
        self.is_dir = is_dir
        self.children: dict[str, Directory] = {}

    def has_file(self, filename: str) -> bool:
        """Tell whether there is a file or folder of this relative path.

        Args:
            filename: The path from here, with `/` between its parts.

        >>> Directory("model.pt", True).has_file("mylib/nn.py")
        False
        """
        here: Directory | None = self
        for part in filename.split("/"):
            here = here.children.get(part) if here is not None else None
        return here is not None

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (f"\u2500\u2500\u2500 {self.name}", *self._lines("    ")))

    def _lines(self, indent: str) -> Iterator[str]:
        # Folders first, each kind by name.
        ordered = sorted(self.children.values(), key=lambda child: (not child.is_dir, child.name))
        for child in ordered:
            last = child is ordered[-1]
            yield f"{indent}{chr(0x2514 if last else 0x251C)}\u2500\u2500 {child.name}"
            yield from child._lines(indent + ("    " if last else "\u2502   "))


def make_directory(name: str, files: Iterable[str], include: GlobPattern, exclude: GlobPattern) -> Directory:
    """Return the tree of those *files* that match.

    Args:
        name: Of the tree as a whole.
        files: Relative paths.
        include: Patterns of paths.
        exclude: Patterns of paths to leave out.
    """
    wanted = GlobGroup(include, exclude=exclude, separator="/")
    top = Directory(name, is_dir=True)
    for file in files:
        if wanted.matches(file):
            *folders, last = file.split("/")
            here = top
            for folder in folders:
                here = here.children.setdefault(folder, Directory(folder, is_dir=True))
            here.children[last] = Directory(last, is_dir=False)
    return top
