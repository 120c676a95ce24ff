"""Several entry points in one case: one call, one proof, and what they share is one object."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import SOURCE, importable, run_python, write_case, write_tree
from wardian.cli.app import run
from wardian.domain.manifest import Entry

PROJECT = """
--- orchard/__init__.py
--- orchard/words.py
import json
import pickle

class Tokenizer:
    def __init__(self, words):
        self.words = words

    def __call__(self, text):
        return [self.words.index(word) for word in text.split()]
--- orchard/model.py
import torch
from orchard.words import Tokenizer

class Encoder(torch.nn.Module):
    def __init__(self, words):
        super().__init__()
        self.tokenizer = Tokenizer(words)
        self.embedding = torch.nn.Embedding(len(words), 2)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, numbers):
        self.seen += 1
        return self.embedding(numbers) + self.seen

class Head(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.embedding = encoder.embedding
        self.seen = encoder.seen

    def forward(self, x):
        return x @ self.embedding.weight.T + self.seen

def clean(text):
    return text.lower()

def words_of(text):
    return (word for word in text.split())
"""

NUMBERS = torch.tensor([0, 1])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("orchard"), PROJECT)


@pytest.fixture(scope="module")
def packed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    path = tmp_path_factory.mktemp("cases") / "orchard.case"
    with importable(project) as load:
        model = load("orchard.model")
        encoder = model.Encoder(["apple", "pear"])
        report = wardian.pack(
            path=path,
            entries={
                "encoder": encoder,
                "head": model.Head(encoder),
                "clean": model.clean,
                "words": model.words_of,
            },
            inputs={"encoder": (NUMBERS,), "head": {"x": torch.ones(1, 2)}, "words": ("a b",)},
        )
    return path, report


def test_the_report_says_what_was_proven_of_each(packed: tuple[Path, Any]) -> None:
    _, report = packed
    assert report.manifest.proven == (
        "encoder: loaded and called, outputs equal; head: loaded and called, outputs equal;"
        " clean: only loaded: no inputs were given;"
        " words: loaded and called; its outputs cannot be kept, and were not compared"
    )
    assert [attempt.failure for attempt in report.attempts] == [None], "one proof for all"
    assert len(str(report).splitlines()) <= 12


def test_each_loads_in_a_fresh_process(packed: tuple[Path, Any], tmp_path: Path) -> None:
    printed = run_python(
        """
        import sys, torch, wardian
        path = sys.argv[1]
        try:
            wardian.load(path)
        except wardian.EntryNotFoundError as error:
            print(error)
        assert wardian.load(path, name="clean")("ABC") == "abc"
        with wardian.open(path) as case:
            print([entry.name for entry in case.entries])
            encoder, head = case.load("encoder"), case.load("head")
            assert head.embedding is encoder.embedding
            assert head.embedding.weight is encoder.embedding.weight
            assert head.seen is encoder.seen
            assert type(case.load("encoder")) is type(encoder)
            again = case.load("head")
            assert again.embedding is not encoder.embedding, "loaded again, all is made anew"
            assert case.load("encoder") is not encoder
            assert case.load("head", alone=True).embedding is not again.embedding
            print(case.check())
            print(case.check("head").results[0].outcome)
            print(sorted(case.tensors))
            print(sorted(case.state_dict("head")))
        """,
        packed[0],
        folder=tmp_path,
    )
    lines = printed.splitlines()
    assert lines[0].endswith("say which, with name='encoder' or name='head' or name='clean' or name='words'")
    assert lines[1] == "['encoder', 'head', 'clean', 'words']"
    assert lines[2:] == [
        "encoder: the same, bit for bit",
        "head: the same, bit for bit",
        "clean: no self-test",
        "words: runs; its output cannot be compared",
        "the same, bit for bit",
        "['encoder:embedding.weight', 'encoder:seen', 'head:embedding.weight']",
        "['embedding.weight']",
    ]


def test_weights_are_packed_once_and_only_sharers_are_one_group(packed: tuple[Path, Any]) -> None:
    _, report = packed
    names = [entry.name for entry in report.manifest.entries]
    assert names == ["encoder", "head", "clean", "words", "encoder+head"]
    records = {(tensor.entry, tensor.name): tensor.record for tensor in report.manifest.tensors}
    assert records["encoder", "embedding.weight"] == records["head", "embedding.weight"]
    assert len(set(records.values())) == 2


def test_the_same_bytes_in_another_process(project: Path, tmp_path: Path) -> None:
    script = """
        import sys, torch, wardian
        from orchard.model import Encoder, Head, clean
        torch.manual_seed(0)
        encoder = Encoder(["apple", "pear"])
        entries = {"encoder": encoder, "head": Head(encoder), "clean": clean}
        report = wardian.pack(path=sys.argv[1], entries=entries, prove=False)
        print(report.digest)
    """
    digests = {
        run_python(script, tmp_path / f"{number}.case", folder=tmp_path, paths=(project,)) for number in "ab"
    }
    assert len(digests) == 1


def test_a_call_that_raises_is_told_by_its_entry(project: Path, tmp_path: Path) -> None:
    with importable(project) as load:
        model = load("orchard.model")
        entries = {"encoder": model.Encoder(["apple"]), "clean": model.clean}
        inputs = {"encoder": (torch.tensor([0]),), "clean": (3,)}
        with pytest.raises(wardian.PackError) as caught:
            wardian.pack(path=tmp_path / "a.case", entries=entries, inputs=inputs)
    assert str(caught.value).startswith("AttributeError: 'int' object has no attribute 'lower'\n")
    assert "clean(...) does not work here, either: pass inputs that clean takes" in str(caught.value)


def test_what_a_script_defines(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch, wardian\n"
        "LABELS = ['a', 'b']\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return LABELS[int(x.argmax())]\n"
        "def label(number):\n"
        "    return LABELS[number]\n"
        "wardian.pack(path='net.case', entries={'net': Net(), 'label': label},\n"
        "             inputs={'net': (torch.eye(2)[1],), 'label': (0,)})\n"
    )
    variables = {"PYTHONPATH": str(SOURCE), "PATH": "", "WARDIAN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with wardian.open(tmp_path / "net.case") as case:
        assert case.manifest.proven == "each object was loaded and called, outputs equal"
        assert case.load("label")(1) == case.load("net")(torch.eye(2)[1]) == "b"
    assert wardian.load(tmp_path / "net.case", name="label")(0) == "a"


def test_one_plan_for_all(project: Path) -> None:
    with importable(project) as load:
        model = load("orchard.model")
        plan = wardian.plan(
            entries={"clean": model.clean, "head": model.Head(model.Encoder(["apple"]))},
            inputs={"head": (torch.ones(1, 2),)},
        )
    assert "entries['head'].embedding is" in plan.why("torch.nn.modules.sparse")
    assert plan.entry == "entries"


def test_a_dictionary_is_one_object(tmp_path: Path) -> None:
    wardian.pack({"model": torch.nn.Linear(1, 1), "epoch": 3}, tmp_path / "a.case", prove=False)
    assert wardian.load(tmp_path / "a.case")["epoch"] == 3


def test_the_command_knows_them(packed: tuple[Path, Any], tmp_path: Path) -> None:
    def ask(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wardian", *words],
            env={"PYTHONPATH": str(SOURCE), "WARDIAN_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    path = str(packed[0])
    entries = json.loads(ask("info", path, "--json"))["entries"]
    assert [(e["name"], e["self_test"]) for e in entries] == [
        ("encoder", True),
        ("head", True),
        ("clean", False),
        ("words", True),
    ]
    assert ask("check", path, "--entry", "head") == "head: the same, bit for bit\n"
    assert ask("run", path, "--entry", "clean", "--inputs", "('ABC',)") == "'abc'\n"


ASKED_WHICH = {
    "run": ("run", "--inputs", "('ABC',)"),
    "weights": ("weights", "-o", "w.safetensors"),
    "weights of two": ("weights", "-o", "w.safetensors", "--only", "*embedding*"),
}


@pytest.mark.parametrize("words", ASKED_WHICH.values(), ids=ASKED_WHICH)
def test_the_command_asks_which_with_names_that_it_takes_before_torch_is_imported(
    words: tuple[str, ...], packed: tuple[Path, Any], tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom wardian.cli.app import run\n"
        f"assert run([{words[0]!r}, {str(packed[0])!r}, *{words[1:]!r}]) == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE), "WARDIAN_CACHE": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--entry encoder or --entry head or --entry clean or --entry words" in done.stderr.replace(
        "\n", " "
    )
    assert "encoder+head" not in done.stderr
    assert done.returncode == 0


WRITTEN = {
    "the name as ls prints it": ("--only", "encoder:embedding*"),
    "the same, and the entry": ("--only", "encoder:embedding*", "--entry", "encoder"),
    "the name in the entry": ("--only", "embedding*", "--entry", "encoder"),
}


@pytest.mark.parametrize("words", WRITTEN.values(), ids=WRITTEN)
def test_weights_take_the_names_that_ls_prints(
    words: tuple[str, ...], packed: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = str(packed[0]), tmp_path / "w.safetensors"
    assert run(["weights", path, "-o", str(target), *words]) == 0
    assert list(wardian.read_safetensors(target)) == ["embedding.weight"]
    assert "1 tensor," in capsys.readouterr().out


def test_names_near_to_a_tensor_are_names_that_are_taken(
    packed: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = str(packed[0]), str(tmp_path / "w.safetensors")
    for words in (["weights", path, "-o", target, "--only"], ["ls", path, "--tensors"]):
        assert run([*words, "embeding.*"]) == 1
        assert "near to it: encoder:embedding.weight" in capsys.readouterr().err


def test_weights_tell_what_no_state_dict_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = torch.nn.Linear(1, 1)
    model.register_buffer("positions", torch.arange(3), persistent=False)
    path, target = tmp_path / "model.case", tmp_path / "w.safetensors"
    wardian.pack(model, path, prove=False)
    assert run(["weights", str(path), "-o", str(target)]) == 0
    assert "left out: 1 buffer that no state_dict has (positions)" in capsys.readouterr().err
    assert sorted(wardian.read_safetensors(target)) == ["bias", "weight"]
    assert run(["weights", str(path), "-o", str(target), "--only", "pos*"]) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"path": "a.case"}, "what is to be packed is missing"),
    "no path": ({"obj": torch.nn.Linear(1, 1)}, 'path is missing: wardian.pack(model, "model.case")'),
    "both": ({"obj": 1, "path": "a.case", "entries": {"model": 1}}, "not both"),
    "none": ({"path": "a.case", "entries": {}}, "entries must map names to objects"),
    "a list": ({"path": "a.case", "entries": [1]}, "entries must map names to objects"),
    "a number as name": ({"path": "a.case", "entries": {1: 1}}, "1 is none"),
    "a path as name": ({"path": "a.case", "entries": {"a/b": 1}}, "identifier, not 'a/b'"),
    "a text": ({"path": "a.case", "entries": {"a": "a.pt"}}, "entries['a'] is 'a.pt', a str: load"),
    "a tuple of inputs": (
        {"path": "a.case", "entries": {"a": print}, "inputs": (1,)},
        "with entries=, inputs",
    ),
    "inputs of another": (
        {"path": "a.case", "entries": {"a": print}, "inputs": {"b": (1,)}},
        "inputs has 'b', which is none of the entries: ['a']",
    ),
    "inputs of no tuple": (
        {"path": "a.case", "entries": {"a": print}, "inputs": {"a": 1}},
        "inputs['a'] must be a tuple",
    ),
    "inputs of what is not called": (
        {"path": "a.case", "entries": {"a": 1}, "inputs": {"a": (1,)}},
        "inputs['a'] were given, but an int cannot be called",
    ),
    "a name": ({"path": "a.case", "entries": {"a": 1}, "name": "b"}, "name is of a single object"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, words = WRONG[wrong]
    pack: Any = wardian.pack
    with pytest.raises((TypeError, ValueError)) as caught:
        pack(**arguments, prove=False)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("group", [{"a": 1}, [1, 2], 5, "ab", None], ids=str)
def test_a_group_that_lacks_its_members_is_damage(group: Any, tmp_path: Path) -> None:
    entries = tuple(
        Entry(name=name, record=f"{name}/{name}.pkl", type="builtins.int", test=None, outputs=False)
        for name in ("a", "a+b", "b")
    )
    files: dict[str, str | bytes] = {f"{name}/{name}.pkl": pickle.dumps(1, 4) for name in "ab"}
    files["a+b/a+b.pkl"] = pickle.dumps(group, 4)
    path = write_case(tmp_path / "forged.case", files, entries=entries, distributions=())
    with (
        wardian.open(path) as case,
        pytest.raises(wardian.CorruptCaseError, match="no dictionary with a and b"),
    ):
        case.load("a")
