"""Policies as files: which can be used, and where the user's is."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.errors import PolicyFileError
from wardian.trust import policies
from wardian.trust.policies import Trust, user_policy, user_policy_path
from wardian.trust.rules import Rules


def written(folder: Path, text: str) -> Path:
    (folder / "trust.toml").write_text(text)
    return folder / "trust.toml"


def test_a_policy_knows_its_rules_and_where_they_are_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[trust]\nmax_size = 3\n")
    monkeypatch.chdir(tmp_path)
    policy = Trust.from_file("trust.toml")
    assert policy == Trust(Rules(max_size=3), str(tmp_path / "trust.toml"))
    assert Trust() == Trust(Rules(), None)
    assert hash(policy) != hash(Trust())


@pytest.mark.parametrize(
    ("signers", "place"), [("team", "team"), ("/etc/team", "/etc/team"), ("~/team", "team")]
)
def test_the_file_of_signers_is_found_from_the_folder_of_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signers: str, place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    policy = Trust.from_file(written(tmp_path, f'[trust]\nsigners = "{signers}"\n'))
    assert policy.rules.signers == str(tmp_path / place)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[trust", "cannot be used"),
        (b"[trust]\nmax_size = -1\n", "max_size"),
        (b"[trust]\n# \xff\n", "utf-8"),
        (b'[trust]\nsigners = "~nobody-of-this-name/team"\n', "home directory"),
        (b'[trust]\nsigners = "team\\u0000"\n', "null"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    place = tmp_path / "trust.toml"
    place.write_bytes(content)
    with pytest.raises(PolicyFileError, match=why) as caught:
        Trust.from_file(place)
    assert caught.value.path == str(place)
    assert str(caught.value).startswith(f"the policy {place} cannot be used: ")


def test_no_more_is_read_than_a_policy_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[trust]\nmax_size = 3\n"
    monkeypatch.setattr(policies, "_LARGEST", len(text))
    assert Trust.from_file(written(tmp_path, text)).rules.max_size == 3
    with pytest.raises(PolicyFileError, match="it has more than 0 MiB"):
        Trust.from_file(written(tmp_path, text + "#"))


@pytest.mark.parametrize("file", ["trust.toml", "team"])
def test_a_policy_and_its_signers_are_the_users_alone_to_write(tmp_path: Path, file: str) -> None:
    (tmp_path / "team").touch()
    policy = written(tmp_path, '[trust]\nsigners = "team"\n')
    (tmp_path / file).chmod(0o666)
    with pytest.raises(PolicyFileError, match="anybody can write") as caught:
        Trust.from_file(policy)
    assert caught.value.path == str(tmp_path / file)


def test_the_policy_of_the_user_is_in_the_configuration_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        user_policy()
    assert caught.value.filename == str(user_policy_path())
    user_policy_path().parent.mkdir()
    written(tmp_path / "wardian", "[trust]\nmax_size = 3\n")
    assert user_policy().rules.max_size == 3
