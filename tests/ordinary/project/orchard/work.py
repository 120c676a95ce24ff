"""What child processes run."""

import os
import sys

import torch
from torch.utils.data import Dataset, IterableDataset

from orchard.model import Press


class Apples(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.full((2,), float(i)), Press(f"apple {i}")


class Stream(IterableDataset):
    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        yield from range(0 if info is None else info.id, 6, 1 if info is None else info.num_workers)


def collate(items):
    return torch.stack([x for x, _ in items]), [press for _, press in items]


def start_worker(number):
    os.environ["ORCHARD_WORKER"] = str(number)


def squeeze(press):
    return press.squeeze(), Press(press.fruit + "!")


def fail(press):
    press.break_down()


def add_rank(rank, folder, model):
    with open(os.path.join(folder, f"{rank}.txt"), "w") as file:
        file.write(repr(total(model)))


def total(model):
    return sum(float(p.detach().sum()) for p in model.parameters())


def train(rank, size, everyone, folder, model, kind):
    """Train on *size* processes, which meet at the barrier *everyone* before one of them leaves."""
    import torch.distributed as dist

    # Not by a port: another process may take a free one before this listens on it.
    meeting = f"file://{os.path.join(folder, 'meeting-' + kind)}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    try:
        torch.manual_seed(rank)
        model = model.train()
        x = torch.randn(3, 4)
        if kind == "ddp":
            model = torch.nn.parallel.DistributedDataParallel(model)
        else:
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            mesh = init_device_mesh("cpu", (size,))
            model.tail.weight = torch.nn.Parameter(model.head.weight.detach().clone())
            for branch in model.branches:
                fully_shard(branch, mesh=mesh)
            fully_shard(model, mesh=mesh)
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        for _ in range(2):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
        if kind == "dcp":
            import torch.distributed.checkpoint as dcp
            from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

            state, optimizer_state = get_state_dict(model, optimizer)
            checkpoint = {"model": state, "optimizer": optimizer_state, "press": Press("fig")}
            dcp.save(checkpoint, checkpoint_id=os.path.join(folder, "checkpoint"))
            before = total_of(model)
            with torch.no_grad():
                for p in model.parameters():
                    p.zero_()
            state, optimizer_state = get_state_dict(model, optimizer)
            checkpoint = {"model": state, "optimizer": optimizer_state, "press": Press("")}
            dcp.load(checkpoint, checkpoint_id=os.path.join(folder, "checkpoint"))
            set_state_dict(model, optimizer, model_state_dict=checkpoint["model"],
                           optim_state_dict=checkpoint["optimizer"])
            assert total_of(model) == before != 0
            assert checkpoint["press"] == Press("fig"), checkpoint["press"].fruit
        objects = [None] * size
        dist.all_gather_object(objects, Press(str(rank)))
        assert objects == [Press(str(n)) for n in range(size)]
        with open(os.path.join(folder, f"{kind}-{rank}.txt"), "w") as file:
            file.write(repr(total_of(model)))
        # Gloo ends the process whose peer closes the connection while a thread of its own still uses it.
        everyone.wait()
    finally:
        dist.destroy_process_group()
    everyone.wait()
    leave()


def leave():
    """End the process at once.

    A thread of Gloo that still holds a tensor would ask for the lock of an interpreter that is being taken
    down, which ends the process by SIGABRT: https://github.com/pytorch/pytorch/pull/179291
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def total_of(model):
    found = 0.0
    for p in model.parameters():
        p = p.detach()
        found += float((p.full_tensor() if hasattr(p, "full_tensor") else p).sum())
    return found


def call(n):
    return Press(str(n))


def remote(rank, everyone, folder):
    """Call each other by torch's RPC."""
    from torch.distributed import rpc

    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{os.path.join(folder, 'meeting-rpc')}")
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=2, rpc_backend_options=options)
    assert rpc.rpc_sync(f"worker{1 - rank}", call, (rank,)) == Press(str(rank))
    rpc.shutdown()
    everyone.wait()
    leave()


def share(tensor, queue):
    tensor.add_(1)
    queue.put((Press("sent"), float(tensor.sum())))


def echo(incoming, outgoing):
    while (item := incoming.get()) is not None:
        outgoing.put(item)


def nested(press):
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(squeeze, (press,))


def whereabouts(press):
    return os.getcwd(), type(press).__module__
