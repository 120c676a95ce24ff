"""The rest of Python accepts packed modules and objects."""

import contextlib
import copy
import dataclasses
import doctest
import functools
import gc
import importlib
import importlib.util
import inspect
import io
import linecache
import logging
import pickle
import pkgutil
import pydoc
import sys
import threading
import traceback
import typing
import unittest.mock
import warnings
import weakref

records, model, files = lib("records"), lib("model"), lib("files")


@check
def pickle_all_protocols():
    things = [
        model.Press("fig"), model.Press.Lid, model.double, records.Apple(1.0, [records.Seed(2)]),
        records.Colour.RED, records.Part.SKIN | records.Part.CORE, records.Stone(True), records.Pip(1, 2),
        model.Press("x").squeeze, functools.partial(model.double, 3), records.Slotted(4).a, model.BrokenPressError("no"),
        {records.Seed(1): model.Press}, records.Basket[int], typing.Optional[records.Seed],
    ]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(things, protocol))
        assert again[0] == things[0] and again[1] is model.Press.Lid and again[4] is records.Colour.RED
        assert again[3] == things[3] and again[6] == things[6] and again[7] == things[7]
        assert again[9]() == 6 and type(again[11]) is model.BrokenPressError
    slotted = pickle.loads(pickle.dumps(records.Slotted(4)))
    assert type(slotted) is records.Slotted and slotted.a == 4


@check
def pure_python_pickle():
    buffer = io.BytesIO()
    pickle._Pickler(buffer).dump(model.Press("fig"))
    assert pickle._loads(buffer.getvalue()) == model.Press("fig")


@check
def copies():
    apple = records.Apple(1.0, [records.Seed(2)], model.Press())
    assert copy.copy(apple) == apple and copy.deepcopy(apple) == apple
    assert copy.deepcopy(records.Colour.RED) is records.Colour.RED


@check
def data_classes():
    assert dataclasses.replace(records.Apple(1.0), weight=2.0).weight == 2.0
    assert dataclasses.asdict(records.Apple(1.0, [records.Seed(1)])) == {
        "weight": 1.0, "seeds": [{"size": 1}], "press": None}
    assert [f.name for f in dataclasses.fields(records.Apple)] == ["weight", "seeds", "press"]
    made = dataclasses.make_dataclass("Made", [("n", int)], bases=(records.Apple,), namespace={"__module__": records.__name__}, kw_only=True)
    assert made(weight=1.0, n=2).n == 2
    assert records.Seed(1) < records.Seed(2)


@check
def type_hints():
    vars(records)["Press"] = model.Press
    assert typing.get_type_hints(records.Apple)["seeds"] == list[records.Seed]
    assert typing.get_type_hints(records.Basket.put)["return"] == records.Basket[records.T]
    assert typing.get_type_hints(records.Jam)["stone"] is records.Stone
    assert typing.get_type_hints(model.helper)["times"] is int
    assert inspect.get_annotations(records.Seed, eval_str=True) == {"size": int}


@check
def inspection():
    assert inspect.getsource(model.double).startswith("def double(x):")
    assert inspect.getsource(model.Press).startswith("class Press:")
    assert inspect.getsource(model.Press.Lid).strip().startswith("class Lid:")
    assert inspect.getsource(model).startswith('"""Models')
    assert inspect.getsource(model.make_adder(2)).strip().startswith("def add(x)")
    assert inspect.getmodule(model.Press) is model and inspect.getmodule(model.double) is model
    assert inspect.getmodule(model.Press().squeeze) is model
    assert str(inspect.signature(model.helper)).startswith("(x: torch.Tensor, times: int)")
    assert inspect.getfile(model.Press) == model.__file__ == inspect.getsourcefile(model.double)
    assert inspect.getfile(model) == model.__file__
    assert inspect.getdoc(model.Press) == "A plain class."
    assert inspect.getcomments(model.double) is None
    assert inspect.findsource(model.helper)[1] > 3
    assert "Press" in dict(inspect.getmembers(model, inspect.isclass))
    frame = inspect.currentframe()
    assert inspect.getmodule(frame) is None or True
    assert inspect.getclosurevars(model.make_adder(2)).nonlocals == {"n": 2}
    assert inspect.isabstract(records.Tree)


@check
def tracebacks():
    try:
        model.Press("fig").break_down()
    except model.BrokenPressError:
        text = traceback.format_exc()
        kind, error, trace = sys.exc_info()
    assert "raise BrokenPressError(self.fruit)  # the line that raises" in text, text
    assert f"{model.__name__}.BrokenPressError: fig" in text
    last = traceback.extract_tb(trace)[-1]
    assert last.filename == model.__file__ and last.line.startswith("raise")
    buffer = io.StringIO()
    traceback.print_exception(error, file=buffer)
    assert "the line that raises" in buffer.getvalue()
    linecache.clearcache()
    linecache.checkcache()
    assert "the line that raises" in "".join(traceback.format_exception(error))
    linecache.checkcache(model.__file__)
    assert "the line that raises" in "".join(traceback.format_exception(error))
    assert any("the line that raises" in line for line in linecache.getlines(model.__file__, vars(model)))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is model.BrokenPressError


@check
def debugger():
    import pdb

    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("step\nlist\nwhere\np self.fruit\ncontinue\n"), stdout=out, nosigint=True)
    debugger.use_rawinput = False
    debugger.reset()
    debugger.runcall(model.Press("quince").squeeze)
    assert 'return f"{self.fruit} juice"' in out.getvalue(), out.getvalue()
    assert "'quince'" in out.getvalue(), out.getvalue()


@check
def debugger_breakpoint_by_function():
    import pdb

    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("continue\nc\nc\n"), stdout=out, nosigint=True)
    debugger.use_rawinput = False
    line = model.double.__code__.co_firstlineno + 6
    problem = debugger.set_break(model.__file__, line)
    debugger.runcall(model.double, 2)
    debugger.clear_all_breaks()
    assert problem is None, problem
    assert "return 2 * x" in out.getvalue(), out.getvalue()


@check
def warning_filters():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files.warn()
        files.warn(2)
    assert [w.filename for w in caught] == [files.__file__, __file__]
    assert caught[0].line is None or True
    assert 'warnings.warn("too ripe"' in warnings.formatwarning(
        caught[0].message, caught[0].category, caught[0].filename, caught[0].lineno)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=files.__name__.replace(".", r"\."))
        files.warn()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r".*orchard\.files")
        files.warn()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            files.warn()
    assert len(caught) == 1


@check
def logs():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(module)s %(funcName)s %(filename)s %(message)s"))
    logger = logging.getLogger(files.__name__)
    assert logger is files.log
    logger.addHandler(handler)
    files.write_log()
    assert stream.getvalue().strip() == f"{files.__name__} files write_log files.py picked 3"
    parent = logging.getLogger(files.__name__.rpartition(".")[0])
    parent.setLevel(logging.ERROR)
    files.write_log()
    assert stream.getvalue().count("picked") == 1
    parent.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


@check
def doctests():
    result = doctest.testmod(model)
    assert (result.attempted, result.failed) == (2, 0), result


@check
def help_pages():
    out = io.StringIO()
    pydoc.Helper(output=out)(model.Press)
    assert "A plain class." in out.getvalue()
    text = pydoc.plain(pydoc.render_doc(model))
    assert "class Orchard(" in text and model.__file__ in text
    assert pydoc.locate(model.__name__ + ".Press") is model.Press
    assert "sunny" in pydoc.plain(pydoc.render_doc(lib("plots"))) or True


@check
def mocks():
    with unittest.mock.patch(model.__name__ + ".double", return_value=7):
        assert model.double(1) == 7
    assert model.double(1) == 2
    with unittest.mock.patch.object(model.Press, "squeeze", autospec=True, return_value="dry"):
        assert model.Press().squeeze() == "dry"
    spec = unittest.mock.create_autospec(model.Press)
    assert isinstance(spec("a"), model.Press)


@check
def abstract_classes():
    assert issubclass(records.Bush, records.Tree)
    try:
        records.Tree()
    except TypeError:
        pass
    else:
        raise AssertionError

    @records.Tree.register
    class Own: ...

    assert isinstance(Own(), records.Tree)


@check
def single_dispatch():
    assert records.taste(records.Apple(1.0)) == "sweet" and records.taste(1) == "nothing"

    @records.taste.register
    def _(x: str):
        return "ink"

    assert records.taste("a") == "ink"


@check
def caches():
    assert records.slow(1) is records.slow(1)
    assert records.slow.cache_info().hits >= 1
    records.slow.cache_clear()


@check
def weak_references():
    press = model.Press()
    reference = weakref.ref(press)
    del press
    gc.collect()
    assert reference() is None
    assert weakref.ref(model)() is model
    assert weakref.WeakValueDictionary({"a": records.Colour.RED})["a"] is records.Colour.RED


@check
def specs():
    spec = model.__spec__
    assert spec.name == model.__name__ and spec.origin == model.__file__ and spec.has_location
    assert spec.parent == model.__package__ == model.__name__.rpartition(".")[0]
    assert importlib.util.find_spec(model.__name__).origin == model.__file__
    assert importlib.util.find_spec(model.__name__) is spec
    assert importlib.util.find_spec(model.__name__ + "_not") is None
    assert spec.loader is model.__loader__
    assert model.__loader__.get_source(model.__name__).startswith('"""Models')
    assert model.__loader__.is_package(model.__name__) is False
    assert model.__loader__.get_code(model.__name__).co_filename == model.__file__
    package = lib("plots")
    assert list(package.__path__) == list(package.__spec__.submodule_search_locations)
    fresh = importlib.util.module_from_spec(importlib.util.find_spec(model.__name__))
    fresh.__spec__.loader.exec_module(fresh)
    assert fresh.double(2) == 4 and fresh is not model
    assert repr(model).startswith(f"<module '{model.__name__}' from '")
    assert importlib.util.source_from_cache(model.__cached__) == model.__file__


@check
def relative_import_by_string():
    assert importlib.import_module(".model", lib("").__name__) is model
    assert importlib.import_module("..model", lib("plots").__name__) is model
    assert importlib.util.resolve_name(".model", lib("").__name__) == model.__name__
    assert __import__(model.__name__, fromlist=["Press"]) is model
    namespace = {}
    exec(f"from {model.__name__} import Press, double as d\nimport {model.__name__} as m", namespace)
    assert namespace["Press"] is model.Press and namespace["m"] is model


@check
def reload():
    sunny = lib("plots.sunny")
    sunny.DEPTH = 77
    sunny.EXTRA = 1
    again = importlib.reload(sunny)
    assert again is sunny is sys.modules[sunny.__name__] and sunny.DEPTH == 1 and sunny.EXTRA == 1
    package = lib("plots")
    assert importlib.reload(package) is package and package.sunny is sunny


@check
def reimport_after_removal():
    sunny = lib("plots.sunny")
    del sys.modules[sunny.__name__]
    again = lib("plots.sunny")
    assert again is not sunny and again.DEPTH == 1 and lib("plots").sunny is again


@check
def all_modules_can_be_walked():
    for name, module in list(sys.modules.items()):
        if module is None or "orchard." not in name:
            continue
        getattr(module, "__file__", None), getattr(module, "__doc__", None), hasattr(module, "__warningregistry__")
        if name.rpartition("orchard.")[2] in ("model", "files", "records"):
            assert module.__spec__.name == name == module.__name__


@check
def files_beside_code():
    assert files.through_file() == "cox, gala"
    assert files.through_resources() == files.through_package() == files.as_file() == "cox, gala"
    assert files.contents() == ["kinds.txt"]
    assert files.through_pkgutil() == "cox, gala"


@check
def files_from_outside():
    import importlib.resources

    package = lib("").__name__
    assert importlib.resources.files(package).joinpath("data", "kinds.txt").read_text() == "cox, gala"
    assert importlib.resources.files(lib("")).joinpath("data").is_dir()
    assert importlib.resources.files(package + ".data").joinpath("kinds.txt").is_file()
    assert pkgutil.get_data(package, "data/kinds.txt") == b"cox, gala"
    assert sorted(m.name for m in pkgutil.iter_modules(lib("plots").__path__)) == ["shade", "sunny"]
    walked = [m.name for m in pkgutil.walk_packages(lib("").__path__, package + ".")]
    assert package + ".plots.shade.north" in walked
    assert pkgutil.resolve_name(model.__name__ + ":Press") is model.Press
    with importlib.resources.as_file(importlib.resources.files(package) / "data") as path:
        assert (path / "kinds.txt").exists()
    assert importlib.resources.files(model.__name__ if sys.version_info >= (3, 12) else package)


@check
def distributions():
    assert files.version() == "1.2" == lib("").__version__
    assert files.metadata() == ["orchard-fruit", "Fruit for tests", ["torch"]]
    assert files.distribution_of_torch()
    assert files.entry_points() == ["cider", "orchard.model:Press", "plum juice"]


@check
def walking_from_inside():
    assert files.walk()[-3:] == ["plots.shade.north", "plots.sunny", "records"] or "plots.shade.north" in files.walk()
    assert files.iterate() == [("shade", True), ("sunny", False)]
    assert files.resolve() == "Press"


@check
def tracing():
    seen = set()

    def tracer(frame, event, argument):
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return tracer

    sys.settrace(tracer)
    try:
        model.double(2)
    finally:
        sys.settrace(None)
    assert {file for file, _ in seen if file == model.__file__}


@check
def trace_module_counts_lines():
    import trace

    tracer = trace.Trace(count=1, trace=0)
    tracer.runfunc(model.double, 2)
    assert any(file == model.__file__ for file, _ in tracer.results().counts)


@check
def profiling():
    import cProfile
    import pstats

    profile = cProfile.Profile()
    profile.runcall(model.double, 2)
    stats = pstats.Stats(profile, stream=io.StringIO())
    assert any(file == model.__file__ for file, _, _ in stats.stats)


@check
def imports_in_threads():
    for name in [n for n in sys.modules if n.startswith(lib("plots").__name__)]:
        del sys.modules[name]
    found, barrier = [], threading.Barrier(8)

    def work(name):
        barrier.wait()
        found.append(lib(name).DEPTH)

    threads = [threading.Thread(target=work, args=(n,)) for n in ["plots.sunny", "plots.shade.north"] * 4]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(found) == [1] * 4 + [2] * 4


@check
def by_value_picklers():
    import cloudpickle
    import dill

    for pickler in (cloudpickle, dill):
        press = model.Press("fig")
        assert pickler.loads(pickler.dumps(press)) == press
        assert pickler.loads(pickler.dumps(lambda: press.squeeze() + model.Press("x").squeeze()))() == "fig juicex juice"
        assert pickler.loads(pickler.dumps(model.make_adder(3)))(4) == 7
        assert pickler.loads(pickler.dumps(model.Press)) is model.Press
        assert pickler.loads(pickler.dumps(model.double)) is model.double
    assert dill.source.getsource(model.double).startswith("def double")


@check
def subclasses_in_main():
    class Own(model.Press):
        def squeeze(self):
            return super().squeeze().upper()

    assert Own("fig").squeeze() == "FIG JUICE"
    assert Own.__mro__[1] is model.Press


@check
def code_and_runpy():
    import runpy

    name = lib("plots.sunny").__name__
    del sys.modules[name]
    names = runpy.run_module(name, run_name="__main__")
    assert names["DEPTH"] == 1 and names["__spec__"].name == name


@check
def asyncio_and_context():
    import asyncio

    async def work():
        return await asyncio.to_thread(model.double, 4)

    assert asyncio.run(work()) == 8


@check
def lazy_loader():
    import importlib.machinery

    name = lib("plots.sunny").__name__
    del sys.modules[name]
    spec = importlib.util.find_spec(name)
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    lazy = sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(lazy)
    assert lazy.DEPTH == 1


@check
def zipfile_of_sources_modulefinder():
    import ast
    import symtable

    tree = ast.parse(inspect.getsource(model))
    assert any(isinstance(node, ast.ClassDef) for node in tree.body)
    import dis

    buffer = io.StringIO()
    dis.dis(model.double, file=buffer)
    assert "RETURN_VALUE" in buffer.getvalue()


@check
def json_repr_and_pprint():
    import pprint

    assert pprint.pformat(records.Apple(1.0)) == "Apple(weight=1.0, seeds=[], press=None)"
    assert repr(records.Colour.RED) == "<Colour.RED: 'red'>"
    assert repr(records.Stone(True)) == "Stone(hard=True, size=1)"


@check
def exceptions_chain_and_groups():
    try:
        raise ExceptionGroup("all", [model.BrokenPressError("a")])
    except* model.BrokenPressError as group:
        assert len(group.exceptions) == 1


@check
def shelves_and_marshal():
    import shelve

    with shelve.open(str(folder / "shelf")) as shelf:
        shelf["press"] = model.Press("fig")
    with shelve.open(str(folder / "shelf")) as shelf:
        assert shelf["press"] == model.Press("fig")
