"""Several processes train a packed model."""

import torch

work, model = lib("work"), lib("model")


def everyone():
    return torch.multiprocessing.get_context("spawn").Barrier(2, timeout=120)


def train(kind, what):
    torch.multiprocessing.spawn(work.train, (2, everyone(), str(folder), what, kind), nprocs=2)
    return [(folder / f"{kind}-{rank}.txt").read_text() for rank in range(2)]


@check
def data_parallel():
    one, other = train("ddp", load())
    assert one == other


@check
def sharded():
    one, other = train("fsdp2", load())
    assert one == other


@check
def sharded_checkpoints():
    one, other = train("dcp", load())
    assert one == other


@check
def checkpoints_in_one_process():
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    loaded, twin = load(), load()
    with torch.no_grad():
        loaded.head.weight.add_(1)
    dcp.save({"model": loaded.state_dict(), "press": model.Press("fig")}, checkpoint_id=folder / "single")
    state = {"model": twin.state_dict(), "press": model.Press()}
    dcp.load(state, checkpoint_id=folder / "single")
    twin.load_state_dict(state["model"])
    assert torch.equal(twin.head.weight, loaded.head.weight) and state["press"] == model.Press("fig")
    dcp_to_torch_save(folder / "single", folder / "single.pt")


@check
def remote_calls():
    torch.multiprocessing.spawn(work.remote, (everyone(), str(folder)), nprocs=2)
