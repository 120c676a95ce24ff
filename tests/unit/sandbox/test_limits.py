"""What a child may use, and the rights that it has given up."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import run_python

LIMITS = """
    import json, resource, sys
    from wardian.sandbox.limits import limit_resources

    kinds = ("AS", "CPU", "FSIZE", "NOFILE", "CORE", "MEMLOCK", "MSGQUEUE", "NPROC")
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    with open("/proc/self/statm") as status:
        used = int(status.read().split()[0]) * resource.getpagesize()
    limit_resources(memory=1 << 30, seconds=60)
    found = {kind: resource.getrlimit(getattr(resource, "RLIMIT_" + kind)) for kind in kinds}
    with open("/proc/self/uid_map") as file:
        alone = file.read().split() != ["0", "0", "4294967295"]
    try:
        bytearray(2 << 30)
        taken = "taken"
    except MemoryError:
        taken = "refused"
    print(json.dumps([found, used, before, alone, taken]))
"""
RIGHTS = """
    import json
    from wardian.sandbox.limits import drop_rights

    drop_rights()
    drop_rights()  # what is given up already can be given up again
    with open("/proc/self/status") as status:
        print(json.dumps(dict(line.split() for line in status if line.startswith(("Cap", "NoNew")))))
"""


def test_limits_hold_for_ever_and_are_no_higher_than_they_were(tmp_path: Path) -> None:
    found, used, before, alone, taken = json.loads(run_python(LIMITS, folder=tmp_path))
    assert all(soft == hard for kind, (soft, hard) in found.items() if kind != "NPROC")
    most = {kind: soft for kind, (soft, _) in found.items()}
    assert used <= most["AS"] - (1 << 30) < used + (64 << 20)
    assert (most["CPU"], most["FSIZE"]) == (60, 1 << 30)
    assert most["NOFILE"] == 100  # which is less than the 1,024 that a child may have
    assert (most["CORE"], most["MEMLOCK"], most["MSGQUEUE"]) == (0, 0, 0)
    # Where users are the kernel's own, threads of all the user's processes would count.
    assert found["NPROC"] == ([4096, 4096] if alone else before)
    assert taken == "refused"


def test_root_has_no_more_rights_than_others(tmp_path: Path) -> None:
    found = json.loads(run_python(RIGHTS, folder=tmp_path))
    assert found.pop("NoNewPrivs:") == "1"
    assert [name for name, rights in found.items() if int(rights, 16)] == []
