"""Cases behind a URL: what is needed comes by ranges into a sparse local copy (docs/design/remote.md).

- `urls`: which texts are URLs, and how one is shown without its secrets
- `sources`: the protocol of what gives ranges of bytes
- `exchange`: requests over HTTP, repeated while what goes wrong may pass
- `pace`: the least speed of what comes
- `http`, `filesystems`, `hub`, `oci`: the sources
- `connecting`: which source serves a URL; `netrc`: who asks; `redirects`: those that lead nowhere
- `ranges`: which requests bring the bytes that are wanted
- `copies`: the local copy, with its map of complete records
- `reader`: the archive reader over a local copy
- `opening`: from a URL to a reader; `early`: requests made before it is known what for
"""

from __future__ import annotations

__all__ = ["COPY"]

COPY = "model.case"
"""The name of a local copy, in a folder that has the digest as its name."""
