"""Cases by URL, as a user sees them."""

from __future__ import annotations

import importlib
import io
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import wardian
from tests.servers import Asked, FileServer, Handler, serving
from tests.support import run_python, write_case
from wardian import reporters
from wardian.archive import ArchiveReader
from wardian.archive.remote.exchange import Exchange
from wardian.cli.app import run
from wardian.environment.cache import CACHE_VARIABLE
from wardian.errors import CorruptCaseError

MIB = 1 << 20


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(1024, 1024) for _ in range(12)]
    return torch.nn.Sequential(*layers).requires_grad_(False)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, model: torch.nn.Module) -> Path:
    """A case of 50 MB."""
    path = tmp_path_factory.mktemp("remote") / "model.case"
    wardian.pack(model, path, inputs=(torch.ones(1, 1024),), prove=False)
    return path


@pytest.fixture
def server(case: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    monkeypatch.setattr(Exchange, "backoff", 0.0)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with serving(files={"layers.case": case}) as files:
        yield files


def test_only_what_is_needed_travels(server: FileServer, model: torch.nn.Module, case: Path) -> None:
    url, state = server.url("layers.case"), model.state_dict()
    assert [line.partition("==")[0] for line in wardian.requirements(url)] == ["torch"]
    assert len(server.asked) <= 3
    assert server.sent < 2 * MIB
    server.forget()
    with wardian.open(url) as remote:
        assert url in repr(remote)
        assert "layers" in remote.mount.name
        first = remote.tensors["3.weight"]
        assert torch.equal(first, model.get_parameter("3.weight"))
        assert (len(server.asked), server.sent) == (2, 4 * MIB)  # whether it is the same, and the record
        server.forget()
        assert remote.prefetch("5.*", "7.weight") == 3
        assert len(server.asked) == 2
        # With what is between two records that come together.
        assert 0 <= server.sent - sum(state[k].nbytes for k in ("5.weight", "5.bias", "7.weight")) < 8192
        server.forget()
        with pytest.raises(KeyError, match=r"no tensor 'decoder"):
            remote.prefetch("decoder.*")
    server.forget()
    loaded = wardian.load(url)
    assert torch.equal(loaded(torch.ones(1, 1024)), model(torch.ones(1, 1024)))
    assert len(server.asked) <= 8
    assert server.sent < case.stat().st_size - 3 * 4 * MIB
    server.forget()
    with wardian.open(url) as remote:
        remote.verify()
        assert remote.check().exact
        path = remote.mount.archive.path
    assert path is not None
    assert path.read_bytes() == case.read_bytes()
    server.forget()
    wardian.load(url)
    assert (len(server.asked), server.sent) == (1, 0)


def test_the_structure_comes_without_weights_and_a_part_gets_its_own(
    server: FileServer, model: torch.nn.Module, tmp_path: Path
) -> None:
    url = server.url("layers.case")
    structure = "import sys, wardian; wardian.load(sys.argv[1], map_location='meta')"
    run_python(structure, url, folder=tmp_path)
    assert server.sent < 2 * MIB
    server.forget()
    part = """
        import sys, torch, wardian
        model = torch.nn.Sequential(*(torch.nn.Linear(1024, 1024) for _ in range(2)))  # a stage
        verify = sys.argv[2] == "verify"
        print(len(wardian.load_into(model, sys.argv[1], strict=False, verify=verify).unexpected_keys))
        print(model[1].weight.double().sum().item())
    """
    total = model.get_parameter("1.weight").double().sum().item()
    for verify in ("verify", "no"):
        folder = tmp_path / verify
        folder.mkdir()
        server.forget()
        assert run_python(part, url, verify, folder=folder).split() == ["20", str(total)]
        assert 8 * MIB < server.sent < 10 * MIB
        assert len(server.asked) <= 4


def test_tensors_of_one_page_come_one_after_the_other(server: FileServer, tmp_path: Path) -> None:
    sizes = {"a": 100, "b": 100, "large": 1_000_000}
    model = torch.nn.ParameterDict({name: torch.arange(float(size)) + 1 for name, size in sizes.items()})
    wardian.pack(model, tmp_path / "small.case", prove=False)
    server.files["small.case"] = tmp_path / "small.case"
    with wardian.open(server.url("small.case")) as remote:
        remote.prefetch("a")
        tensors = remote.tensors
        # What a caller writes to is a page of its own, which must not hide what comes to the file later.
        tensors["a"].zero_()
        assert torch.equal(tensors["b"], torch.arange(100.0) + 1)
        assert torch.equal(remote.tensors["a"], torch.arange(100.0) + 1)


def test_state_dict_comes_in_one_plan(server: FileServer, model: torch.nn.Module) -> None:
    with wardian.open(server.url("layers.case"), mmap=False) as remote:
        server.forget()
        state = remote.state_dict()
        assert len(server.asked) <= 8
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())


def test_a_model_without_values_costs_no_weights(server: FileServer) -> None:
    with wardian.open(server.url("layers.case")) as remote:
        server.forget()
        loaded = remote.load(map_location="meta")
        assert {str(p.device) for p in loaded.parameters()} == {"meta"}
        assert loaded.get_parameter("3.weight").shape == (1024, 1024)
        assert not server.asked


def test_some_weights_cost_their_records(server: FileServer, model: torch.nn.Module, tmp_path: Path) -> None:
    script = """
        import sys
        from wardian.cli.app import run
        assert run(["weights", sys.argv[1], "-o", "out.safetensors", "--only", "7.*"]) == 0
    """
    run_python(script, server.url("layers.case"), folder=tmp_path)
    assert server.sent < 4 * MIB + 5000 + 2 * MIB
    found = wardian.read_safetensors(tmp_path / "out.safetensors")
    assert set(found) == {"7.weight", "7.bias"}
    assert torch.equal(found["7.weight"], model.get_parameter("7.weight"))


FORKS = """
    import os, sys, torch, wardian
    with wardian.open(sys.argv[1]) as case:
        one = case.tensors["1.weight"][0, 5].item()
        process = os.fork()
        two = case.tensors["2.weight" if process else "3.weight"][0, 5].item()
        if not process:
            os._exit(0 if two == two else 1)
        assert os.waitpid(process, 0)[1] == 0
        case.verify()
        print(one, two, case.tensors["3.weight"][0, 5].item())
"""


def test_a_forked_process_reads_on_by_itself(
    server: FileServer, model: torch.nn.Module, tmp_path: Path
) -> None:
    out = run_python(FORKS, server.url("layers.case"), folder=tmp_path).split()
    state = model.state_dict()
    assert [float(number) for number in out] == [state[f"{n}.weight"][0, 5].item() for n in (1, 2, 3)]


def test_without_verifying_nothing_is_zeros(server: FileServer, model: torch.nn.Module) -> None:
    loaded = wardian.load(server.url("layers.case"), verify=False)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in loaded.state_dict().items())


def test_a_pinned_digest_is_held(
    server: FileServer, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url("layers.case?token=topsecret")
    with wardian.open(case) as local:
        digest = local.digest
    with wardian.open(url, digest=digest) as remote:
        remote.verify()
    server.forget()
    with wardian.open(url, digest=digest):
        assert not server.asked  # by the digest alone
    wardian.open(case, digest=digest).close()
    # A pickle that would run if it were unpickled.
    evil = write_case(tmp_path / "evil.case", pickle=b"cbuiltins\nprint\n(Vunpickled\ntR.")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "another"))
    with wardian.open(server.url("layers.case")):
        pass
    server.files["layers.case"] = evil
    for source in (server.url("layers.case"), evil):
        with pytest.raises(wardian.DigestMismatchError, match=digest) as caught:
            wardian.load(source, digest=digest)
        assert caught.value.expected == digest
        assert "topsecret" not in str(caught.value)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        wardian.open(case, digest="abc")
    with pytest.raises(TypeError, match="storage_options are for a URL"):
        wardian.open(case, storage_options={"headers": {}})


LOOKS = """
import sys
from wardian.cli.app import run
assert run(["info", sys.argv[1]]) == 0
assert run(["ls", sys.argv[1]]) == 0
assert run(["verify", sys.argv[1], "--digest", sys.argv[2]]) == 0
assert run(["verify", sys.argv[1], "--digest", "0" * 64]) == 1
assert run(["info", sys.argv[1].replace("layers", "nothing")]) == 2
assert "torch" not in sys.modules
"""


def test_commands_take_urls_without_torch_and_show_no_secret(
    server: FileServer, case: Path, tmp_path: Path
) -> None:
    with wardian.open(case) as local:
        digest = local.digest
    url = server.url("layers.case?X-Amz-Signature=topsecret")
    out = run_python(LOOKS, url, digest, folder=tmp_path, isolated=True)
    assert digest in out
    assert "topsecret" not in out


REFUSED = """
import os
import sys
from wardian.cli.app import run

url, netrc = sys.argv[1:]
sys.stderr = sys.stdout
os.environ.pop("NETRC", None)
os.environ["HOME"] = os.getcwd()
assert run(["info", url]) == 2
os.environ["NETRC"] = netrc
assert run(["info", url]) == 0
assert run(["pack", "os:getcwd", "-o", url]) == 2
assert run(["info", url.replace("://", "://us:PW/SECRET66@")]) == 2
"""


def test_a_command_that_is_refused_says_what_helps(server: FileServer, tmp_path: Path) -> None:
    def refuse(handler: Handler, asked: Asked) -> bool:
        server.faults.append(refuse)
        if "Authorization" in asked.headers:
            return False
        handler.answer(403, b"")
        return True

    server.faults = [refuse]
    netrc = tmp_path / "passwords"
    netrc.write_text("machine 127.0.0.1 login me password topsecret")
    out = run_python(REFUSED, server.url("layers.case"), str(netrc), folder=tmp_path, isolated=True)
    assert "a user and a password for 127.0.0.1 go in ~/.netrc" in out
    assert "wardian push FILE URL then puts a case there" in out
    assert "in a user and a password, / is written %2F" in out
    assert "SECRET66" not in out
    assert "topsecret" not in out


def test_a_file_url_is_a_path(case: Path) -> None:
    with wardian.open(case.as_uri()) as local:
        assert local.mount.archive.path == case


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [
        ("s3", "s3fs", "s3"),
        ("gs", "gcsfs", "gcs"),
        ("gcs", "gcsfs", "gcs"),
        ("az", "adlfs", "azure"),
        ("abfs", "adlfs", "azure"),
        ("hf", "huggingface_hub", "hub"),
    ],
)
def test_a_missing_extra_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, scheme: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    # fsspec keeps the classes that it has found, for another test perhaps.
    monkeypatch.delitem(vars(importlib.import_module("fsspec.registry"))["_registry"], scheme, raising=False)
    line = rf"(?m){scheme}:// needs {module}, which is not installed: pip install 'wardian\[{extra}\]'$"
    with pytest.raises(wardian.RemoteError, match=line):
        wardian.open(f"{scheme}://me/bucket/model.case")


@pytest.mark.parametrize("url", ["http://[", "oci://[/m", "hf://x"])
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(wardian.RemoteError, match=re.escape(url[:5])):
        wardian.open(url)


@pytest.mark.parametrize(
    ("wrong", "near"), [("s4", "s3"), ("htps", "https"), ("oic", "oci"), ("hff", "hf"), ("gss", "gs")]
)
def test_an_unknown_scheme_has_a_near_one(wrong: str, near: str) -> None:
    with pytest.raises(wardian.RemoteError, match=rf"nothing here reads {wrong}://; did you mean {near}://"):
        wardian.open(f"{wrong}://models/model.case")
    with pytest.raises(wardian.RemoteError, match=r"(?m)nothing here reads qqqqqqqqqq://$"):
        wardian.open("qqqqqqqqqq://models/model.case")


def test_loading_begins_with_code_and_weights_at_once(server: FileServer, case: Path) -> None:
    model = wardian.load(server.url("layers.case"))
    assert model(torch.ones(1, 1024)).shape == (1, 1024)
    # The end of the file, and all weights in requests of 8 MiB; nothing comes twice.
    assert len(server.asked) == 1 + -(-12 * 4 // 8) + 1
    assert server.sent < case.stat().st_size + 2 * MIB


class _Terminal(io.StringIO):
    """A terminal that lets a server answer when it shows what is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = threading.Event()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        if "waiting for http" in self.getvalue():
            self.shown.set()


def test_who_watches_is_told_what_is_waited_for(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(reporters, "_DELAY", 0.0)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    shown = []

    def wait(handler: Handler, asked: Asked) -> bool:
        shown.append(terminal.shown.wait(30))
        return False

    server.faults = [wait]
    url = server.url("layers.case")
    with wardian.open(f"{url}?signature=topsecret"):
        pass
    assert shown == [True]
    assert f"wardian: waiting for {url}, 0 s" in terminal.getvalue()
    assert "topsecret" not in terminal.getvalue()


WORKER = """
import sys, torch, wardian
from torch.utils.data import DataLoader

class Data(torch.utils.data.Dataset):
    def __init__(self, model): self.model = model
    def __len__(self): return 2
    def __getitem__(self, i): return self.model(torch.ones(1024)).sum()

if __name__ == "__main__":
    model = wardian.load(sys.argv[1])
    loader = DataLoader(Data(model), num_workers=1, multiprocessing_context="spawn")
    print(len(list(loader)))
"""


def test_workers_get_at_the_case(server: FileServer, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WORKER)
    out = run_python(
        "import runpy, sys; sys.argv[0] = sys.argv.pop(1); runpy.run_path(sys.argv[0], run_name='__main__')",
        script,
        server.url("layers.case"),
        folder=tmp_path,
    )
    assert out.strip() == "2"


def _flipped(path: Path, record: str) -> bytes:
    """Return a case of which one bit of one record is another."""
    with ArchiveReader.open(path) as archive:
        name = next(name for name in archive.names if name.endswith(record))
        place = archive._records[name].offset
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    return bytes(content)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_case(tmp_path / "small.case", "--- larch.py\nTREES = 3\n", storages=(b"weights!",))


def test_no_copy_is_kept_of_damaged_code(server: FileServer, small: Path) -> None:
    server.files |= {"one.case": _flipped(small, "larch.py"), "two.case": small}
    for _ in range(2):
        with pytest.raises(CorruptCaseError, match=r"larch\.py"):
            wardian.open(server.url("one.case"))
    for name in ("two.case", "one.case"):
        server.files["one.case"] = small
        with wardian.open(server.url(name)) as case:
            assert case.import_module("larch").TREES == 3


def test_a_copy_whose_code_was_damaged_is_made_anew_by_the_next_one(server: FileServer, small: Path) -> None:
    server.files["small.case"] = small
    with wardian.open(server.url("small.case")) as case:
        copy = case.mount.archive.path
    assert copy is not None
    copy.write_bytes(_flipped(small, "larch.py"))
    with (
        wardian.open(server.url("small.case")) as case,
        pytest.raises(CorruptCaseError, match=r"larch\.py"),
    ):
        case.verify()
    with wardian.open(server.url("small.case")) as case:
        case.verify()


@pytest.mark.parametrize("record", ["0.storage", "larch.py"])
def test_what_is_at_a_url_is_verified_whatever_copy_is_here(
    server: FileServer, small: Path, record: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files |= {"good.case": small, "bad.case": _flipped(small, record)}
    with wardian.open(server.url("good.case")) as case:
        case.prefetch()
    assert run(["verify", server.url("good.case")]) == 0
    server.forget()
    assert run(["verify", server.url("bad.case")]) == 1
    assert record in capsys.readouterr().out
    assert run(["verify", server.url("good.case")]) == 0


def test_what_is_damaged_is_not_pushed(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged.case").write_bytes(_flipped(small, ".storage"))
    target = tmp_path / "there.case"
    assert run(["push", str(tmp_path / "damaged.case"), target.as_uri()]) == 2
    assert "1 of" in capsys.readouterr().err
    assert not target.exists()
    with pytest.raises(CorruptCaseError):
        wardian.push(tmp_path / "damaged.case", target.as_uri())
    assert run(["push", str(small), target.as_uri()]) == 0
    assert target.read_bytes() == small.read_bytes()


def test_a_check_of_a_url_says_that_it_was_of_a_copy(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", server.url("layers.case")]) == 0
    assert f"what is there now: wardian verify {server.url('layers.case')}" in capsys.readouterr().err
