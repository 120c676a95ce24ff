"""What a policy says, and what of a file breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import PackedDistribution
from wardian.reading.foreign import read_manifest
from wardian.trust.judging import Facts
from wardian.trust.rules import Choice, Rules, find_breaches

SOURCE = """
import os, socket, ctypes
os.getenv("x")

def forward():
    socket.socket()

def elsewhere():
    ctypes.CDLL("x")
"""
FILES = {
    "yew.py": SOURCE,
    ".wardian/metadata/oak/METADATA": "Name: oak\nLicense-Expression: BSD-3-Clause\nLicense: see\n\nMIT",
    ".wardian/metadata/elm/METADATA": "Name: elm\nClassifier: License :: OSI Approved :: MIT License\n",
    ".wardian/metadata/fir/METADATA": "Name: fir\nLicense: Apache 2.0\n  and more\n",
    ".wardian/metadata/ash/METADATA": "Name: ash\n\nLicense: MIT\n",
}
PICKLE = b"\x80\x04\x8c\x03yew\x8c\x07forward\x93."


def _broken(folder: Path, policy: str) -> list[str]:
    named = [PackedDistribution(name=n, version="1", roots=(n,)) for n in ("oak", "elm", "fir", "ash")]
    first = PackedDistribution(name="first-party", version=None, roots=("yew",))
    path = write_case(folder / "yew.case", FILES, pickle=PICKLE, distributions=(first, *named))
    with ArchiveReader.open(path) as archive:
        manifest = read_manifest(archive)
        found = find_breaches(Rules.read(policy, "audit"), Facts(archive, manifest))
        return [str(breach) for breach in found]


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        ("[audit]\ntorch_package = true", []),
        (
            '[audit.capabilities]\ndeny = ["network", "native code"]',
            ['capabilities.deny = "network": yew.py:6: socket.socket (network)'],
        ),
        (
            '[audit]\ncapabilities = ["network"]',
            ["capabilities.allow = ['network']: yew.py:3: os.getenv (environment)"],
        ),
        ("[audit]\nnative = false", []),
        (
            '[audit]\nnative = false\nwhen = ["elsewhere"]',
            ["native = false: yew.py:9: ctypes.CDLL"],
        ),
        (
            '[audit]\nwhen = ["elsewhere"]\nnative.deny = ["first-party"]',
            ['native.deny = "first-party": yew.py:9: ctypes.CDLL (first-party)'],
        ),
        (
            '[audit]\nwhen = ["elsewhere"]\nnative = ["torchvision>=0.20"]',
            ["native.allow = ['torchvision>=0.20']: yew.py:9: ctypes.CDLL (first-party)"],
        ),
        ('[audit]\nwhen = ["elsewhere"]\nnative.deny = ["torchvision"]', []),
        ('[audit]\nwhen = ["elsewhere"]\nnative = true', []),
        ("[audit]\nmax_size = 100", ["max_size = 100 bytes: the file has"]),
        ('[audit]\nmax_size = "1 MB"', []),
        ("[audit]\ntorch_package = false", []),
        (
            '[audit.distributions]\ndeny = ["O*"]',
            ['distributions.deny = "O*": oak'],
        ),
        (
            '[audit]\ndistributions = ["first-party", "oak", "elm", "fir"]',
            ["distributions.allow = ['first-party', 'oak', 'elm', 'fir']: ash"],
        ),
        (
            '[audit]\nlicences = ["BSD*", "MIT*"]',
            [
                "licences.allow = ['BSD*', 'MIT*']: fir has the licence Apache 2.0",
                "licences.allow = ['BSD*', 'MIT*']: ash has the licence unknown",
            ],
        ),
    ],
)
def test_each_rule_is_named_with_what_breaks_it(policy: str, broken: list[str], tmp_path: Path) -> None:
    found = _broken(tmp_path, policy)
    assert len(found) == len(broken)
    for have, want in zip(found, broken, strict=True):
        assert have.startswith(want)


def test_what_cannot_be_read_breaks_rules_about_capabilities(tmp_path: Path) -> None:
    with ArchiveReader.open(write_case(tmp_path / "yew.case", {"yew.py": "def ("})) as archive:
        manifest = read_manifest(archive)
        rules = Rules(capabilities=Choice(deny=("network",)))
        found = find_breaches(rules, Facts(archive, manifest))
        assert [str(breach) for breach in found] == ["capabilities: yew.py cannot be read"]
        assert find_breaches(Rules(), Facts(archive, manifest)) == ()


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("[audit", "it is no TOML"),
        ("[trust]", r"it has no table \[audit\]"),
        ("[audit]", r"\[audit\] has no rule"),
        ("[audit]\nmax_size = 1\n[trust]\nlicenses = []", "trust.licenses is no rule"),
        ("[audit]\nmax_size = 1\n[trust]", r"\[trust\] has no rule"),
        ("[audit]\nmax_size = 1\n[audit.capabilities]", "audit.capabilities must have lists allow or deny"),
        ("audit = 1", r"it has no table \[audit\]"),
        ("[audit]\nlicenses = []", "audit.licenses is no rule; near to it: licences"),
        ('[audit.capabilities]\ndeny = ["netwrk"]', "netwrk.*near to it: network"),
        ('[audit.capabilities]\nrefuse = ["network"]', "must have lists allow or deny"),
        ('[audit]\ncapabilities = "network"', "must have lists allow or deny"),
        ("[audit]\ndistributions = [1]", "must be lists of texts"),
        ('[audit]\nmax_size = "big"', "must be a number of bytes"),
        ("[audit]\nmax_size = true", "must be a number of bytes"),
        ("[audit]\nnative = 0", "must be true or false, or name distributions"),
        ('[audit]\nnative = ["numpy>>2"]', "must be true or false, or name distributions: it has 'numpy>>2'"),
        ('[audit]\nwhen = ["never"]', "must be a list of import, reachable, elsewhere"),
        ("[audit]\nnative = 0\nsize = 1", "audit.native must be true or false, .*; audit.size is no rule"),
    ],
)
def test_a_policy_that_says_nothing_clear_is_refused(policy: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Rules.read(policy, "audit")
