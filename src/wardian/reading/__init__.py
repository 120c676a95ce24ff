"""From an open archive to what may be done with it, before any of its code runs.

- `opening`: from a path, a file or a URL to an archive; `arriving` shows what comes over the network
- `foreign`: the manifest of a case, or the one that an archive of torch.package would have
- `fit`: whether this interpreter and the environment have what a case needs; `installed`: which distributions
  are here, `provided`: which names they have, `importers`: which packed module asks
- `licences`: what the packed distributions say about theirs
- `lock`: lock files of what a case needs
- `bare`: the weights of an archive of torch.package
- `storage_checks`: when weights are checked, once on a machine; `archive.expected_digests` compares

Looking at a file (`wardian.inspection`) and opening it to run its code (`wardian.loading`) both begin here,
so that who only looks does not import the engine of open cases.
"""

from __future__ import annotations
