"""One archive against every policy that is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import archives
from tests.archives import Forged, name
from tests.signers import allow, make_key
from tests.support import write_case
from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import PackedDistribution
from wardian.errors import PolicyFileError, UntrustedCaseError, WardianWarning
from wardian.reading.foreign import read_manifest
from wardian.trust.judging import Facts, judge, refusal
from wardian.trust.modes import TRUST_VARIABLE
from wardian.trust.policies import Trust, user_policy_path
from wardian.trust.rules import Choice, Rules
from wardian.trust.signing import sign

SMALL = Trust(Rules(max_size=1))
ALL = Trust(Rules())


@pytest.fixture(autouse=True)
def _no_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveReader]:
    named = [
        PackedDistribution(name=packed, version="1", roots=roots)
        for packed, roots in (("oak", ("oak", "shared")), ("elm", ("elm", "shared")))
    ]
    files = {"oak/__init__.py": "", "shared.py": "", "weed.py": "import socket", "oak/data.txt": ""}
    with ArchiveReader.open(write_case(tmp_path / "oak.case", files, distributions=tuple(named))) as opened:
        yield opened


@pytest.fixture
def facts(archive: ArchiveReader) -> Facts:
    return Facts(archive, read_manifest(archive))


def by_the_user(mode: str, monkeypatch: pytest.MonkeyPatch, text: str | None = "max_size = 1") -> str:
    monkeypatch.setenv(TRUST_VARIABLE, mode)
    place = user_policy_path()
    if text is not None:
        place.parent.mkdir(parents=True)
        place.write_text(f"[trust]\n{text}\n")
    return str(place)


# Which policies are asked


def test_what_breaks_no_policy_is_let_through(facts: Facts) -> None:
    judge("oak.case", facts)
    judge("oak.case", facts, [ALL])
    assert refusal("oak.case", facts, ALL) is None


def test_every_policy_that_is_given_counts_though_it_is_from_no_file(facts: Facts) -> None:
    no_oak = Trust(Rules(distributions=Choice(deny=("oak",))))
    for given in ([SMALL, ALL], [ALL, SMALL], [SMALL, no_oak]):
        with pytest.raises(
            UntrustedCaseError, match="is not trusted: it breaks the policy trust=;"
        ) as caught:
            judge("oak.case", facts, given)
        assert caught.value.policies == ("trust=",)
        assert len(caught.value.problems) == sum(policy is not ALL for policy in given)


def test_each_policy_that_is_broken_is_named_and_each_problem_once(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_user = by_the_user("require", monkeypatch)
    with pytest.raises(UntrustedCaseError, match="none of its code ran") as caught:
        judge("oak.case", facts, [SMALL, Trust(Rules(), "/etc/all.toml")])
    assert caught.value.policies == ("trust=", of_user)
    assert len(caught.value.problems) == 1


def test_the_policy_of_the_user_is_asked_if_the_variable_says_so(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_user = by_the_user("off", monkeypatch)
    judge("oak.case", facts)
    monkeypatch.setenv(TRUST_VARIABLE, "require")
    with pytest.raises(UntrustedCaseError) as caught:
        judge("oak.case", facts)
    assert caught.value.policies == (of_user,)


def test_a_warning_is_of_the_line_that_loads_and_a_given_policy_still_refuses(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_the_user("warn", monkeypatch)
    with pytest.warns(WardianWarning, match="loaded all the same") as caught:
        judge("oak.case", facts)
    assert caught[0].filename == __file__
    # Warnings are errors here: it is none that comes first.
    with pytest.raises(UntrustedCaseError) as refused:
        judge("oak.case", facts, [SMALL])
    assert refused.value.policies == ("trust=",)


def test_where_a_policy_is_required_and_there_is_none_nothing_is_let_through(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = by_the_user("require", monkeypatch, text=None)
    with pytest.raises(UntrustedCaseError, match="fix: wardian trust init") as caught:
        judge("oak.case", facts)
    assert caught.value.policies == (place,)
    monkeypatch.setenv(TRUST_VARIABLE, "on")
    with pytest.raises(PolicyFileError):
        judge("oak.case", facts)


def test_of_a_folder_nothing_can_be_said_for_sure(tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data/extern_modules").touch()
    folder = FolderReader(tmp_path)
    assert Facts.of(folder, read_manifest(folder), tmp_path, None, None) is None
    judge("oak", None)
    with pytest.raises(UntrustedCaseError, match="it is a folder: its files can change"):
        judge("oak", None, [ALL])


def test_a_refusal_says_what_comes_of_it(facts: Facts) -> None:
    error = refusal("oak.case", facts, SMALL, "it is kept")
    assert error is not None
    assert str(error).startswith("oak.case is not trusted: it breaks the policy trust=; it is kept; 1 rule:")
    assert error.path == "oak.case"


# Facts


def test_code_belongs_to_all_distributions_that_share_its_name(facts: Facts) -> None:
    owners = {
        record: [packed.name for packed in facts.owners(record)]
        for record in (
            "oak/__init__.py",
            "shared.py",
            "shared/deep.py",
            ".wardian/bytecode/cpython-311/elm/net.pyc",
            "weed.py",
        )
    }
    assert list(owners.values()) == [["oak"], ["oak", "elm"], ["oak", "elm"], ["elm"], []]


def test_code_of_nobody_is_listed(facts: Facts) -> None:
    assert facts.outside_distributions == ("weed.py",)


def test_what_is_judged_of_an_archive_without_digests_is_what_runs_later(tmp_path: Path) -> None:
    data = archives.forge(
        [
            Forged(b"oak/.data/extern_modules"),
            Forged(b"oak/.data/0.storage", b"w"),
            Forged(b"oak/oak.py", b"x"),
        ],
        sealed=False,
    )
    with ArchiveReader.open(data) as package:
        facts = Facts(package, read_manifest(package))
        assert facts.kind == "torch.package"
        assert name("oak.py") in package._expected
        assert name(".data/0.storage") not in package._expected


def test_facts_are_found_out_once_and_signatures_are_looked_for_anew(archive: ArchiveReader) -> None:
    manifest = read_manifest(archive)
    first = Facts.of(archive, manifest, "one", None, None)
    assert first is not None
    audit = first.audit
    again = Facts.of(archive, manifest, "two", {"token": "x"}, first)
    assert again is first
    assert again.audit is audit
    assert (again._source, again._options) == ("two", {"token": "x"})


# Signatures


def test_one_signature_by_a_signer_is_enough(archive: ArchiveReader, facts: Facts, tmp_path: Path) -> None:
    alice, bob = (make_key(tmp_path / who) for who in ("alice", "bob"))
    team = str(allow(tmp_path / "team", {"alice": alice}))
    (unsigned,) = facts.unsigned(team)
    assert "no signature" in unsigned.what
    sign(archive.label, key=bob)
    (by_nobody,) = facts.unsigned(team)
    assert by_nobody.what.startswith("nobody you trust signed it: ")
    sign(archive.label, key=alice)
    assert facts.unsigned(team) == ()


def test_signers_that_cannot_be_read_are_a_problem_and_those_of_others_an_error(
    facts: Facts, archive: ArchiveReader, tmp_path: Path
) -> None:
    sign(archive.label, key=make_key(tmp_path / "alice"))
    (problem,) = facts.unsigned(str(tmp_path / "missing"))
    assert problem.what.startswith("the signatures cannot be checked: ")
    team = allow(tmp_path / "team", {"alice": tmp_path / "alice"})
    team.chmod(0o666)
    with pytest.raises(PolicyFileError, match="anybody can write"):
        facts.unsigned(str(team))
