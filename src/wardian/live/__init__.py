"""Open cases. Every open case has a package of its own below this one.

The package of a case, its *root*, is called `wardian.live.<stem>_<digest>`: the stem of the file name and
the first eight digits of the case's digest, so it has the same name in every process. (Another case of
that name in one process gets more digits; cases are recognised by the whole digest.) Packed modules live
below it as ordinary modules: `wardian.live.resnet18_3f9a2c1b.torchvision.models.resnet`.

Importing this package adds one finder to `sys.meta_path`. It answers for names below `wardian.live`, and is
what lets a child process unpickle an object of a packed class: the import of the class's module finds the
case again. Of other modules it answers for those of which a packed copy has registered something in PyTorch
(`finder.SecondCopyLoader`). While a case is open there is also one hook in `sys.path_hooks`, for the folders
of open cases, so that code that walks the `__path__` of its package gets the same finder.
"""

import sys

from wardian.live.case import find_root
from wardian.live.finder import CaseFinder

__all__ = ["CaseFinder", "find_root"]

sys.meta_path.insert(0, CaseFinder(find_root))
