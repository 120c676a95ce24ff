"""Cases on the Hugging Face Hub: its real client against a hub on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import wardian
from tests.services.hub import Hub, may_be_reached, serving_hub
from tests.support import finish, start_python

pytestmark = [
    pytest.mark.services,
    # The client uploads by an argument that its HTTP client has renamed.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]
ONES = torch.ones(1, 1024)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    may_be_reached(monkeypatch)
    with serving_hub() as found:
        yield found


def options(hub: Hub) -> dict[str, str]:
    return {"endpoint": hub.url, "token": hub.token}


def test_a_case_is_pushed_with_a_card_and_opened_by_ranges(
    hub: Hub, model: torch.nn.Module, case: Path
) -> None:
    url = wardian.push(
        case, "hf://me/demo", private=True, commit_message="First", weights=True, storage_options=options(hub)
    )
    commit, files = hub.repositories["me/demo"].branches["main"][-1]
    assert url == f"hf://me/demo@{commit}/model.case"
    assert set(files) == {"model.case", "README.md", "model.safetensors"}
    assert files["model.case"] == case.read_bytes()
    assert hub.messages == ["First"]
    assert hub.repositories["me/demo"].private
    hub.asked.clear()
    with wardian.open(url, storage_options=options(hub)) as remote:
        assert len(hub.asked) <= 3
        digest = remote.digest
        assert torch.equal(remote.tensors["3.weight"], model.get_parameter("3.weight"))
        assert hub.sent < (5 << 20) + 5000
    with wardian.open("hf://me/demo/model.case", digest=digest, storage_options=options(hub)) as remote:
        assert torch.equal(remote.load()(ONES), model(ONES))
    card = files["README.md"].decode()
    from huggingface_hub import ModelCard

    assert vars(ModelCard(card).data)["library_name"] == "wardian"
    assert digest in card
    assert "torch" in card.partition("## What it needs")[2]
    assert len(files["model.safetensors"]) > 20_000_000


def test_a_card_of_the_users_stays_and_revisions_are_branches(hub: Hub, case: Path) -> None:
    wardian.push(case, "hf://me/demo", storage_options=options(hub))
    wardian.push(case, "hf://me/demo/other.case", revision="v2", storage_options=options(hub))
    branches = hub.repositories["me/demo"].branches
    assert set(branches["v2"][-1][1]) == {"model.case", "other.case", "README.md"}
    assert "other.case" in branches["v2"][-1][1]["README.md"].decode()
    assert "other.case" not in branches["main"][-1][1]
    branches["main"].append(("1" * 40, {**branches["main"][-1][1], "README.md": b"# Mine\n"}))
    wardian.push(case, "hf://me/demo", storage_options=options(hub))
    assert branches["main"][-1][1]["README.md"] == b"# Mine\n"
    assert wardian.requirements("hf://me/demo@v2/other.case", storage_options=options(hub))


def test_what_is_not_there_or_not_allowed_is_said(hub: Hub, case: Path) -> None:
    wardian.push(case, "hf://me/demo", private=True, storage_options=options(hub))
    for url, why in (
        ("hf://me/demo/nothing.case", "no such file, or no such revision"),
        ("hf://me/demo@nowhere/model.case", "no such file, or no such revision"),
        ("hf://me/nobody/model.case", "no such repository"),
    ):
        with pytest.raises(FileNotFoundError, match=why):
            wardian.open(url, storage_options=options(hub))
    with pytest.raises(FileNotFoundError, match="the token does not open it"):
        wardian.open("hf://me/demo/model.case", storage_options={"endpoint": hub.url, "token": False})
    with pytest.raises(PermissionError, match="the Hub refuses") as caught:
        wardian.push(case, "hf://me/new", storage_options={"endpoint": hub.url, "token": "hf_anothersecret"})
    assert "secret" not in str(caught.value)
    with pytest.raises(wardian.RemoteError, match=r"must be hf://user/repository"):
        wardian.open("hf://demo", storage_options=options(hub))
    with pytest.raises(TypeError, match="token and endpoint, not anon"):
        wardian.open("hf://me/demo", storage_options={"anon": True})


def test_a_hub_that_nobody_knows_is_not_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)  # the client waits by it before it tries again
    with pytest.raises(wardian.RemoteError, match=r"hf://me/demo/model\.case cannot be read"):
        wardian.open("hf://me/demo/model.case", storage_options={"endpoint": "http://nobody.invalid"})
    assert waited == []


def test_commands_find_the_hub_by_the_environment(hub: Hub, case: Path, tmp_path: Path) -> None:
    script = """
        import sys
        from wardian.cli.app import run
        assert run(["push", sys.argv[1], "hf://me/demo", "--private", "--message", "By hand"]) == 0
        assert run(["info", "hf://me/demo/model.case"]) == 0
        assert "torch" not in sys.modules
    """
    out = finish(start_python(script, case, folder=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=hub.token))
    assert "hf://me/demo@" in out
    assert hub.messages == ["By hand"]
