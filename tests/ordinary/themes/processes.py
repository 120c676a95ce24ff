"""Child processes find the case by themselves."""

import concurrent.futures
import copy
import io
import multiprocessing
import os
import pickle
import subprocess
import sys

import torch

work, model = lib("work"), lib("model")


def pool_in(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(work.squeeze, [model.Press("fig"), model.Press("plum")])


def shut_down_loky():
    """End its workers, which would wait for work for minutes after this process."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


EXPECTED = [("fig juice", model.Press("fig!")), ("plum juice", model.Press("plum!"))]


@check
def spawn():
    assert pool_in("spawn") == EXPECTED


@check
def fork():
    assert pool_in("fork") == EXPECTED


@check
def forkserver():
    assert pool_in("forkserver") == EXPECTED


@check
def errors_come_back_with_their_class():
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            pool.submit(work.fail, model.Press("fig")).result()
        except model.BrokenPressError as error:
            assert "the line that raises" in str(error.__cause__)
        else:
            raise AssertionError("no error")


@check
def futures():
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(work.squeeze, [model.Press("fig"), model.Press("plum")])) == EXPECTED


@check
def nested():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(work.nested, model.Press("fig")).result() == EXPECTED[0]


@check
def processes_and_queues():
    context = multiprocessing.get_context("spawn")
    incoming, outgoing = context.Queue(), context.Queue()
    process = context.Process(target=work.echo, args=(incoming, outgoing))
    process.start()
    for item in (model.Press("a"), model.Press, [model.double]):
        incoming.put(item)
        assert outgoing.get(timeout=60) == item
    incoming.put(None)
    process.join()
    assert process.exitcode == 0
    one, other = context.Pipe()
    one.send(model.Press("pipe"))
    assert other.recv() == model.Press("pipe")


@check
def managers():
    with multiprocessing.get_context("spawn").Manager() as manager:
        shared = manager.list([model.Press("fig")])
        assert shared[0] == model.Press("fig")


@check
def tensors_are_shared():
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    tensor = torch.zeros(3)
    tensor.share_memory_()
    process = context.Process(target=work.share, args=(tensor, queue))
    process.start()
    assert queue.get(timeout=60) == (model.Press("sent"), 3.0)
    process.join()
    assert tensor.tolist() == [1.0] * 3


@check
def weights_are_shared():
    loaded = load()
    loaded.share_memory()
    assert all(p.is_shared() for p in loaded.parameters())
    torch.multiprocessing.spawn(work.add_rank, args=(str(folder), loaded), nprocs=2)
    expected = repr(work.total(loaded))
    assert [(folder / f"{rank}.txt").read_text() for rank in range(2)] == [expected] * 2


@check
def start_processes_of_torch():
    loaded = load()
    torch.multiprocessing.start_processes(work.add_rank, (str(folder), loaded), 1, start_method="fork")


def loader_in(method, **options):
    return torch.utils.data.DataLoader(
        work.Apples(5), batch_size=2, num_workers=2, collate_fn=work.collate, worker_init_fn=work.start_worker,
        multiprocessing_context=method, **options)


@check
def data_loader_spawn():
    for _ in range(1):
        batches = list(loader_in("spawn"))
        assert [len(presses) for _, presses in batches] == [2, 2, 1]
        assert batches[1][1][0] == model.Press("apple 2") and batches[1][0][0, 0] == 2


@check
def data_loader_fork_and_persistent_workers():
    loader = loader_in("fork", persistent_workers=True)
    for _ in range(2):
        assert [len(presses) for _, presses in loader] == [2, 2, 1]
    del loader


@check
def data_loader_forkserver():
    assert [len(presses) for _, presses in loader_in("forkserver")] == [2, 2, 1]


@check
def data_loader_of_a_stream():
    loader = torch.utils.data.DataLoader(work.Stream(), num_workers=2, multiprocessing_context="spawn")
    assert sorted(int(x) for x in loader) == list(range(6))


@check
def joblib_and_loky():
    import joblib

    for backend in ("loky", "threading", "multiprocessing"):
        parallel = joblib.Parallel(n_jobs=2, backend=backend)
        found = parallel(joblib.delayed(work.squeeze)(model.Press(f)) for f in ("fig", "plum"))
        assert found == EXPECTED, (backend, found)
    joblib.dump(model.Press("fig"), folder / "press.joblib")
    assert joblib.load(folder / "press.joblib") == model.Press("fig")
    memory = joblib.Memory(folder / "memory", verbose=0)
    cached = memory.cache(model.double)
    assert cached(2) == cached(2) == 4
    shut_down_loky()


@check
def loky_workers_started_before_the_case_was_opened():
    if not packed:
        return
    import joblib

    import wardian

    with joblib.parallel_config(backend="loky", n_jobs=2):
        joblib.Parallel()(joblib.delayed(abs)(n) for n in range(4))
        other = folder / "later.case"
        other.write_bytes(case.read_bytes())
        with wardian.open(other) as opened:
            late = opened.import_module("orchard.work")
            press = opened.import_module("orchard.model").Press("fig")
            assert joblib.Parallel()(joblib.delayed(late.squeeze)(press) for _ in range(2))[0][0] == "fig juice"
    shut_down_loky()


@check
def forkserver_that_was_started_before_the_case_was_opened():
    if not packed:
        return
    import wardian

    context = multiprocessing.get_context("forkserver")
    with context.Pool(1) as pool:
        pool.apply(abs, (1,))  # the server runs now
    other = folder / "forkserver.case"
    other.write_bytes(case.read_bytes())
    with wardian.open(other) as opened:
        late = opened.import_module("orchard.work")
        press = opened.import_module("orchard.model").Press("fig")
        with context.Pool(1) as pool:
            assert pool.apply(late.squeeze, (press,))[0] == "fig juice"


@check
def workers_that_were_started_before_the_case_was_opened():
    if not packed:
        return
    import wardian

    for method in ("spawn", "fork", "forkserver"):
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            pool.submit(abs, 1).result()
            other = folder / f"early {method}.case"
            other.write_bytes(case.read_bytes())
            with wardian.open(other) as opened:
                late = opened.import_module("orchard.work")
                press = opened.import_module("orchard.model").Press("fig")
                assert pool.submit(late.squeeze, press).result()[0] == "fig juice", method


@check
def another_working_directory():
    script = "import os, pickle, sys; os.chdir('/'); print(pickle.load(sys.stdin.buffer).squeeze())"
    place = folder / "elsewhere"
    place.mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items()}
    done = subprocess.run([sys.executable, "-P", "-c", script], input=pickle.dumps(model.Press("fig")),
                          capture_output=True, cwd=place, env=environment, check=False)
    assert done.stdout.strip() == b"fig juice", done.stderr.decode()


@check
def a_relative_path_of_the_case():
    if not packed:
        return
    import wardian

    (folder / "below").mkdir(exist_ok=True)
    (folder / "below" / "relative.case").write_bytes(case.read_bytes())
    before = os.getcwd()
    os.chdir(folder / "below")
    try:
        opened = wardian.open("relative.case")
        press = opened.import_module("orchard.model").Press("fig")
        data = pickle.dumps((opened.import_module("orchard.work").whereabouts, press))
        os.chdir("/")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            function, arguments = pickle.loads(data)
            assert pool.apply(function, (arguments,)) == ("/", type(press).__module__)
        opened.close()
    finally:
        os.chdir(before)


@check
def a_file_that_was_replaced():
    if not packed:
        return
    import wardian

    other = folder / "replaced.case"
    other.write_bytes(case.read_bytes())
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).squeeze())"

    def child(environment):
        return subprocess.run([sys.executable, "-P", "-c", script], input=data, capture_output=True, env=environment, check=False)

    with wardian.open(other) as opened:
        press = opened.import_module("orchard.model").Press("fig")
        data = pickle.dumps(press)
        digest, environment = opened.digest, dict(os.environ)
        new = folder / "new.case"
        wardian.pack(torch.nn.Linear(1, 1), new, prove=False)
        os.replace(new, other)
        # This process goes on with the file that it has open, and so do its children.
        done = child(environment)
        assert done.stdout.strip() == b"fig juice", done.stderr.decode()
    message = child(environment).stderr.decode()
    assert "replaced" in message.partition("Error: ")[2] and digest[:8] in message, message
    other.unlink()
    message = child(environment).stderr.decode()
    assert str(other) in message and digest[:8] in message, message


@check
def a_path_with_signs_that_separate_paths():
    if not packed:
        return
    import wardian

    other = folder / f"run{os.pathsep}3=a" / "signs.case"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(case.read_bytes())
    with wardian.open(other) as opened:
        press = opened.import_module("orchard.model").Press("fig")
        script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).squeeze())"
        done = subprocess.run([sys.executable, "-P", "-c", script], input=pickle.dumps(press), capture_output=True, check=False)
        assert done.stdout.strip() == b"fig juice", done.stderr.decode()


@check
def a_later_process():
    pickled, saved = folder / "later.pickle", folder / "later.pt"
    loaded = load()
    x = torch.randn(2, 4)
    pickled.write_bytes(pickle.dumps((loaded, x, loaded(x))))
    torch.save((loaded, x, loaded(x)), saved)
    script = f"""
import pickle, sys, torch
{'import wardian; wardian.open(sys.argv[1])' if packed else ''}
for model, x, y in (pickle.load(open(sys.argv[2], "rb")), torch.load(sys.argv[3], weights_only=False)):
    assert torch.equal(model(x), y)
print("same")
"""
    environment = {k: v for k, v in os.environ.items() if k != "WARDIAN_OPEN_CASES"}
    done = subprocess.run([sys.executable, "-P", "-c", script, str(case), str(pickled), str(saved)],
                          capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "same", done.stderr
    if packed:
        script = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
        done = subprocess.run([sys.executable, "-P", "-c", script, str(pickled)],
                              capture_output=True, text=True, env=environment, check=False)
        assert done.returncode != 0
        last = done.stderr.splitlines()[-1]
        assert "wardian.open('orchard.case')" in done.stderr and prefix.split("_")[-1][:8] in done.stderr, last


@check
def a_later_process_that_never_imported_wardian():
    pickled = folder / "plain.pickle"
    pickled.write_bytes(pickle.dumps(model.Press("fig")))
    script = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).squeeze())"
    done = subprocess.run([sys.executable, "-P", "-c", script, str(pickled)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fig juice", done.stderr


@check
def torch_load_with_weights_only():
    buffer = io.BytesIO()
    torch.save({"press": model.Press("fig"), "w": torch.ones(2)}, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True)
    except pickle.UnpicklingError as error:
        assert "Press" in str(error)
    else:
        raise AssertionError
    with torch.serialization.safe_globals([model.Press]):
        buffer.seek(0)
        assert torch.load(buffer, weights_only=True)["press"] == model.Press("fig")
    torch.serialization.add_safe_globals([model.Press])
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True)["press"] == model.Press("fig")
    torch.serialization.clear_safe_globals()
    buffer.seek(0)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(buffer) == [f"{model.__name__}.Press"]


@check
def torch_save_variants():
    loaded = load()
    x = torch.randn(2, 4)
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        path = folder / "model.pt"
        torch.save(loaded, path, **options)
        again = torch.load(path, weights_only=False)
        assert type(again) is type(loaded) and torch.equal(again(x), loaded(x))
        assert again.tail.weight is again.head.weight
    torch.save(loaded, folder / "model.pt")
    again = torch.load(folder / "model.pt", weights_only=False, mmap=True)
    assert torch.equal(again(x), loaded(x))
    clone = copy.deepcopy(loaded)
    assert clone.tail.weight is clone.head.weight and torch.equal(clone(x), loaded(x))


@check
def subprocess_pool_initializer():
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, initializer=work.start_worker, initargs=(7,)) as pool:
        assert pool.apply(os.getenv, ("ORCHARD_WORKER",)) == "7"


@check
def many_children_at_once():
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert set(pool.map(work.squeeze, [model.Press("fig")] * 40, chunksize=1)) == {EXPECTED[0]}


@check
def packing_again_gives_the_same_bytes():
    if not packed:
        return
    import wardian

    again = folder / "again.case"
    # What else the process has loaded of the library does not matter.
    assert lib("records") and lib("ops").TOOLS
    wardian.pack(load(), again, inputs=torch.load(folder / "orchard.inputs"))
    assert again.read_bytes() == case.read_bytes()
