"""Where a case comes from, on request: the commit of the packed project, and the command that packed it.

No name of a user, host or folder comes along: what is packed is given to strangers.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from wardian.domain.names import top_level
from wardian.domain.plan import Plan
from wardian.domain.provenance import Provenance, Repository

__all__ = ["find_provenance", "own_modules"]


_HIDDEN = "…"
_LONGEST = 4096
"""Characters of a command; the rest is cut."""
_PATH = re.compile(r"""(?:(?<![\w.:/~-])(?:~[\w.-]*)?/|(?<!\w)[A-Za-z]:[\\/]|\\\\)[^\s'"=,;:]*""")
"""An absolute path, or one that begins in somebody's home."""
_SLASH = re.compile(r"[\\/]")
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET = re.compile(r"(?i)(token|secret|passw|credential|api[-_]?key|auth)")
"""In the name of an option: what follows is not written down."""
_GIT_SECONDS = 60


def find_provenance(files: Mapping[str, str], command: Sequence[str]) -> Provenance:
    """Find out where packed files are from.

    Args:
        files: Path of each packed file that is the user's own → the top-level name of its module.
        command: The words by which this process was started, the interpreter first.
    """
    by_root: dict[str, dict[str, str]] = {}
    roots: dict[str, str | None] = {}
    for path, module in files.items():
        folder = os.path.dirname(os.path.realpath(path))
        if folder not in roots:
            roots[folder] = _root_above(folder)
        root = roots[folder]
        if root is not None:
            by_root.setdefault(root, {})[os.path.realpath(path)] = module
    repositories = [_repository(root, found) for root, found in by_root.items()]
    known = [*by_root, os.getcwd()]
    return Provenance(
        command=_shown(command, known),
        repositories=tuple(sorted(filter(None, repositories), key=lambda one: one.modules)),
    )


def own_modules(plan: Plan) -> dict[str, str]:
    """Return the paths of the user's own files, the running script included → the top-level name."""
    own: dict[str, str] = {
        file.path: top_level(file.module or file.record.partition("/")[0])
        for file in plan.files
        if file.distribution is None and file.content is None
    }
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    # A script is a user's own if it is started by its path, and not a command of an environment.
    if isinstance(script, str) and spec is None and not Path(script).is_relative_to(sys.prefix):
        own.setdefault(os.path.abspath(script), "__main__")
    return own


def _root_above(folder: str) -> str | None:
    for place in (folder, *map(str, Path(folder).parents)):
        if os.path.exists(os.path.join(place, ".git")):  # a file in a worktree or submodule
            return place
    return None


def _repository(root: str, files: Mapping[str, str]) -> Repository | None:
    """Ask git about a working tree; None if it does not answer."""
    status = _git(root, "status", "--porcelain", "--untracked-files=normal")
    known = _git(root, "ls-files", "-z")
    if status is None or known is None:
        return None
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    tracked = {os.path.join(root, name) for name in known.split("\0")}
    return Repository(
        commit=commit.strip() if commit else None,
        changed=bool(status.strip()) or not tracked.issuperset(files),
        modules=tuple(sorted(set(files.values()))),
    )


def _git(root: str, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    # A hook that packs has variables that name its own repository; a status must not wait for a lock.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    variables |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-C", root, *words],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def _shown(command: Sequence[str], roots: Iterable[str]) -> str:
    """Return a command without what tells whose machine it ran on."""
    words = ["python"]
    hides_next = False
    for word in command[1:]:
        option, equals, _ = word.partition("=")
        is_option = word.startswith("-")
        if hides_next and not is_option:
            words.append(_HIDDEN)
        elif is_option and equals and _SECRET.search(option):
            words.append(f"{option}={_HIDDEN}")
        else:
            words.append(_without_names(word, roots))
        hides_next = is_option and not equals and _SECRET.search(option) is not None
    # What is no UTF-8 on the command line has no place in a manifest.
    text = " ".join(words).encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + _HIDDEN


def _without_names(word: str, roots: Iterable[str]) -> str:
    def shorten(found: re.Match[str]) -> str:
        path = found[0]
        for root in roots:
            with suppress(ValueError):
                return Path(path).relative_to(root).as_posix()
        return f"{_HIDDEN}/{_SLASH.split(path.rstrip('/'))[-1]}"

    text = _PATH.sub(shorten, _USER_IN_URL.sub("", word))
    for name in _names():
        text = re.sub(
            rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", _HIDDEN, text, flags=re.IGNORECASE
        )
    return text


def _names() -> Iterable[str]:
    """Return the names of this user and this host."""
    names = set()
    with suppress(KeyError, OSError):  # a user without an entry
        names.add(getpass.getuser())
    names.add(os.path.basename(os.path.expanduser("~")))
    host = socket.gethostname()
    names |= {host, host.partition(".")[0]}
    return sorted(filter(None, names), key=len, reverse=True)
