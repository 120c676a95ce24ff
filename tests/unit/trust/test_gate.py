"""The gate costs nothing where there is no policy, and judges once where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

import wardian
from tests.support import run_python, write_case

SCRIPT = """
    import sys
    import wardian
    wardian.load(sys.argv[1])
    parts = ("rules", "judging", "policies", "signatures")
    print([p for p in parts if f"wardian.trust.{p}" in sys.modules], "cryptography" in sys.modules)
"""


def test_a_load_without_a_policy_imports_nothing_for_it(tmp_path: Path) -> None:
    path = write_case(tmp_path / "fir.case")
    assert run_python(SCRIPT, path, folder=tmp_path, isolated=True).strip() == "[] False"


def test_who_was_let_through_is_let_through_again_and_others_are_not(tmp_path: Path) -> None:
    path = write_case(tmp_path / "fir.case", {"fir.py": f"# {tmp_path}"})
    (tmp_path / "trust.toml").write_text("[trust]\nmax_size = 1\n")
    refusing = wardian.Trust.from_file(tmp_path / "trust.toml")
    with wardian.open(path) as trusted:
        trusted.load()
        with wardian.open(path, trust=refusing) as judged:
            with pytest.raises(wardian.UntrustedCaseError):
                judged.load()
            trusted.load()  # the same modules: one who was let through goes on
            trusted.import_module("fir")


def test_an_audit_is_made_once_for_all_policies(tmp_path: Path) -> None:
    path = write_case(tmp_path / "fir.case", {"fir.py": f"# {tmp_path}"})
    (tmp_path / "trust.toml").write_text("[trust]\nnative = false\n")
    with wardian.open(path, trust=wardian.Trust.from_file(tmp_path / "trust.toml")) as case:
        case.load()
        facts = case.mount.gate._facts
        assert facts is not None
        first = facts.audit
        case.load()
        assert case.mount.gate._facts is facts
        assert facts.audit is first
