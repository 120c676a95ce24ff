import importlib.metadata
import importlib.resources
import logging
import os
import pkgutil
import warnings

log = logging.getLogger(__name__)


def through_file():
    with open(os.path.join(os.path.dirname(__file__), "data", "kinds.txt")) as file:
        return file.read()


def through_resources():
    return importlib.resources.files("orchard").joinpath("data/kinds.txt").read_text()


def through_package():
    return importlib.resources.files(__package__).joinpath("data").joinpath("kinds.txt").read_text()


def as_file():
    with importlib.resources.as_file(importlib.resources.files("orchard") / "data" / "kinds.txt") as path:
        return path.read_text()


def contents():
    return sorted(entry.name for entry in importlib.resources.files("orchard").joinpath("data").iterdir())


def through_pkgutil():
    return pkgutil.get_data("orchard", "data/kinds.txt").decode()


def version():
    return importlib.metadata.version("orchard-fruit")


def metadata():
    found = importlib.metadata.metadata("orchard-fruit")
    return [found["Name"], found["Summary"], importlib.metadata.requires("orchard-fruit")]


def distribution_of_torch():
    return importlib.metadata.version("torch") == importlib.metadata.distribution("torch").version


def entry_points():
    [point] = importlib.metadata.entry_points(group="orchard.presses")
    return [point.name, point.value, point.load()("plum").squeeze()]


def files():
    return importlib.metadata.files("orchard-fruit") is None or sorted(
        str(path) for path in importlib.metadata.files("orchard-fruit") if path.suffix == ".txt" and "data" in str(path)
    )


def walk():
    import orchard

    return sorted(name.rpartition("orchard.")[2] for _, name, _ in pkgutil.walk_packages(orchard.__path__, "orchard."))


def iterate():
    import orchard.plots

    return sorted((info.name, info.ispkg) for info in pkgutil.iter_modules(orchard.plots.__path__))


def resolve():
    return pkgutil.resolve_name("orchard.model:Press").__qualname__


def warn(level=1):
    warnings.warn("too ripe", UserWarning, stacklevel=level)


def warn_deprecated():
    warnings.warn("old fruit", DeprecationWarning, stacklevel=2)


def write_log():
    log.warning("picked %d", 3)
