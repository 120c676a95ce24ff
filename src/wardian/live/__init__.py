"""The packages of open cases, and nothing else.

The package of a case is called `wardian.live.<stem>_<digest>`: the stem of the file's name and the first
eight digits of the case's digest, so that it has the same name in every process. Packed modules lie below it
as ordinary modules: `wardian.live.resnet18_3f9a2c1b.torchvision.models.resnet`.

Whoever imports one imports this package first, which puts the finder of `wardian.loading` into
`sys.meta_path`. So a child process can unpickle an object of a packed class: the import of its module opens
the case again.
"""

import sys as _sys

from wardian.loading.importing.finders import CaseFinder as _CaseFinder
from wardian.loading.reopening import find_mount as _find_mount

_sys.meta_path.insert(0, _CaseFinder(_find_mount))
