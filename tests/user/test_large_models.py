"""Models that no process holds whole: each rank has the structure, and reads its share of the weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import finish, run_python, start_python, write_tree

PROJECT = """
--- choir/__init__.py
--- choir/model.py
import torch

class Rope(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.register_buffer("frequencies", torch.arange(float(width)) + 0.5, persistent=False)

class Choir(torch.nn.Module):
    def __init__(self, words=16384, width=256):
        super().__init__()
        self.words = torch.nn.Embedding(words, width)
        self.rope = Rope(width)
        self.uneven = torch.nn.Linear(width, 5)
        self.mix = torch.nn.Linear(width, width)
        self.head = torch.nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x):
        seen = self.mix(self.words(x)) * self.rope.frequencies
        return self.head(seen), self.uneven(seen)
"""
PACK = """
    import sys, torch, wardian
    from choir.model import Choir
    wardian.pack(Choir(), "choir.case", prove=False)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("project"), PROJECT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A folder with the case, of 17 MB; the project is elsewhere."""
    made = tmp_path_factory.mktemp("large")
    run_python(PACK, folder=made, paths=(project,))
    return made


def flip(path: Path) -> None:
    """Damage the first storage."""
    with path.open("r+b") as file:
        file.seek(4096)
        byte = file.read(1)
        file.seek(4096)
        file.write(bytes([byte[0] ^ 1]))


def test_the_structure_comes_without_reading_weights_and_is_filled(folder: Path) -> None:
    script = """
        import sys, torch, wardian
        model = wardian.load("choir.case", map_location="meta")
        print({t.device.type for t in (*model.parameters(), *model.buffers())})
        print(wardian.load_into(model, "choir.case"), model.head.weight is model.words.weight)
        x = torch.arange(3)
        print(all(map(torch.equal, model(x), wardian.load("choir.case")(x))))
    """
    assert run_python(script, folder=folder).splitlines() == [
        "{'meta'}",
        "<All keys matched successfully> True",
        "True",
    ]


def test_damaged_weights_do_not_matter_to_the_structure_and_fill_nothing(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "choir.case"
    path.write_bytes((folder / "choir.case").read_bytes())
    flip(path)
    script = """
        import torch, wardian
        model = wardian.load("choir.case", map_location="meta")
        try:
            wardian.load_into(model, "choir.case")
        except wardian.CorruptCaseError as error:
            print(error.record, {t.device.type for t in (*model.parameters(), *model.buffers())})
    """
    assert run_python(script, folder=tmp_path).strip() == ".data/0.storage {'meta'}"


def test_no_code_of_the_case_runs(folder: Path, tmp_path: Path) -> None:
    project = write_tree(
        tmp_path / "project",
        """
        --- herald/__init__.py
        print("the code runs")
        --- herald/model.py
        import torch
        class Herald(torch.nn.Linear):
            pass
        """,
    )
    pack = """
        import wardian
        from herald.model import Herald
        wardian.pack(Herald(2, 2), "herald.case", prove=False)
    """
    run_python(pack, folder=tmp_path, paths=(project,))
    script = """
        import sys, torch, wardian
        wardian.load_into(torch.nn.Linear(2, 2), "herald.case")
        print([name for name in sys.modules if "herald" in name and not name.startswith("wardian.live")])
    """
    assert run_python(script, folder=tmp_path).strip() == "[]"


# Two ranks

_RANK = """
    import ctypes, datetime, gc, mmap, os, sys, warnings
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    rank, ranks = int(sys.argv[1]), int(sys.argv[2])
    import torch, wardian
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor
    meeting, limit = f"file://{sys.argv[3]}", datetime.timedelta(minutes=2)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=ranks, timeout=limit)
    mesh = init_device_mesh("cpu", (ranks,))

    def shard(model):
        for part in (model.words, model.mix, model.uneven):
            fully_shard(part, mesh=mesh)
        return fully_shard(model, mesh=mesh)

    def structure():
        model = wardian.load("choir.case", map_location="meta")
        model.head.weight = torch.nn.Parameter(model.head.weight.detach())  # not tied: it is in another shard
        return model

    def is_right(model):
        whole = wardian.load("choir.case").state_dict()
        state = model.state_dict()
        return state.keys() == whole.keys() and all(
            torch.equal(value.full_tensor() if hasattr(value, "full_tensor") else value, whole[name])
            for name, value in state.items()
        )

    def finish():
        dist.barrier()  # gloo fails in who is left
        dist.destroy_process_group()
"""


def ranks(script: str, folder: Path, *paths: Path, number: int = 2) -> list[str]:
    """Run *script* in several ranks, which can import from *paths*; return what each has printed."""
    meeting = folder / f"meeting-{os.urandom(4).hex()}"
    started = [
        start_python(_RANK + script + "    finish()\n", rank, number, meeting, folder=folder, paths=paths)
        for rank in range(number)
    ]
    return [finish(process).strip() for process in started]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["meta", "to_empty", "assign"])
def test_each_rank_fills_its_shards(folder: Path, way: str) -> None:
    script = f"""
    model = shard(structure())
    if {way!r} == "to_empty":
        model.to_empty(device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(wardian.load_into(model, "choir.case", assign={way == "assign"}), is_right(model))
    x = torch.arange(3)
    whole = wardian.load("choir.case")(x)
    answers = model(x)
    print(all(map(torch.equal, answers, whole)))
    sum(answer.sum() for answer in answers).backward()
    if {way == "assign"}:
        wardian.load_into(model, "choir.case", assign=True)  # in use already
        print(all(map(torch.equal, model(x), whole)))
"""
    lines = ["<All keys matched successfully> True", "True", *(["True"] if way == "assign" else [])]
    assert [printed.splitlines() for printed in ranks(script, folder)] == [lines, lines]


@pytest.mark.slow
def test_other_placements(folder: Path) -> None:
    script = """
    model = structure()
    placements = {"words": Shard(1), "mix": Shard(0), "uneven": Shard(0), "head": Replicate()}
    for name, placement in placements.items():
        part = getattr(model, name)
        part.weight = torch.nn.Parameter(distribute_tensor(part.weight, mesh, [placement]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wardian.load_into(model, "choir.case")
    print(is_right(model), *(tuple(part.weight.to_local().shape) for part in (model.words, model.uneven)))
"""
    assert ranks(script, folder) == ["True (16384, 128) (3, 256)", "True (16384, 128) (2, 256)"]


@pytest.mark.slow
def test_a_checkpoint_reader_reads_the_shares_and_names_what_it_cannot_fill(folder: Path) -> None:
    script = """
    model = shard(structure()).to_empty(device="cpu")
    reader = wardian.distributed.CaseReader("choir.case")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", wardian.WardianWarning)
        dcp.load(model.state_dict(), storage_reader=reader)
    told = [str(w.message) for w in told if w.category is wardian.WardianWarning]
    share = sum(value.to_local().nbytes for value in model.state_dict().values())
    print(is_right(model), reader.bytes_read == share, [text[:48] for text in told])
"""
    assert ranks(script, folder) == [
        "True True ['no state_dict has the buffers rope.frequencies, ']",
        "True True []",
    ]


_RESIDENT = """
    libc = ctypes.CDLL(None, use_errno=True)
    file = os.open("choir.case", os.O_RDONLY)
    size = os.fstat(file).st_size

    def resident():
        view = mmap.mmap(file, size, mmap.MAP_SHARED, mmap.PROT_READ)
        start = torch.frombuffer(view, dtype=torch.uint8).data_ptr()
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(size), pages) == 0
        return sum(page & 1 for page in pages) * mmap.PAGESIZE

    def forget():
        gc.collect()  # pages that are mapped stay
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="asks the page cache of Linux")
@pytest.mark.parametrize("reader", ["load_into", "CaseReader"])
def test_a_rank_reads_its_share_of_the_file(folder: Path, reader: str) -> None:
    script = f"""
    model = shard(structure()).to_empty(device="cpu")
    state = model.state_dict()
    del state["head.weight"]  # the same bytes as those of words.weight
    share = sum(value.to_local().nbytes for value in state.values())
    warnings.simplefilter("ignore")
    with wardian.open("choir.case") as case:
        case.state_dict()  # from now on the weights are known to be sound
        for turn in range(ranks):
            dist.barrier()
            if turn == rank:
                forget()
                before = resident()
                if {reader!r} == "load_into":
                    wardian.load_into(model, "choir.case")
                else:
                    found = wardian.distributed.CaseReader("choir.case")
                    dcp.load(state, storage_reader=found, no_dist=True)
                print(share, before, resident())
"""
    printed = [tuple(map(int, line.split())) for line in ranks(_RESIDENT + script, folder)]
    if any(before > share // 10 for share, before, _ in printed):
        pytest.skip("this file system keeps pages")
    assert all(share <= after <= 1.05 * share for share, _, after in printed), printed


@pytest.mark.slow
@pytest.mark.parametrize("obj", ["model", "model.state_dict()"])
def test_each_rank_refuses_to_pack_a_part(folder: Path, project: Path, obj: str) -> None:
    script = f"""
    from choir.model import Choir
    model = shard(Choir(words=8, width=4))
    try:
        wardian.pack({obj}, f"part{{rank}}.case")
    except wardian.PackError as error:
        print(len(error.problems), error.problems[0].fix.splitlines()[2].strip())
        print(os.path.exists(f"part{{rank}}.case"))
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if rank == 0:
        whole = Choir(words=8, width=4)
        whole.load_state_dict(state)
        wardian.pack(whole, "whole.case", inputs=(torch.arange(3),))
"""
    options = "StateDictOptions(full_state_dict=True, cpu_offload=True)"
    told = f"1 state = get_model_state_dict(model, options={options})\nFalse"
    assert ranks(script, folder, project) == [told, told]
