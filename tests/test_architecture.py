"""The rooms of the program: who may import whom, how long things may be, and what starting must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import catalogue
from tests import source_tree
from tests.source_tree import ROOT

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
OURS = ("app", "engine", "resources")
FREE = ("engine", "engine.errors", "engine.cancel")  # names and errors that every room of the engine may use
FILE_LIBRARIES = ("h5py", "netCDF4", "cftime", "PIL", "pyproj", "scipy", "numpy", "xarray", "xradar", "eccodes", "zarr",
                  "platformdirs", "shapefile")


@dataclass(frozen=True)
class Room:
    """ours: prefixes of our own modules it may import; theirs: other people's packages, the standard library aside."""

    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ("numpy",)


ALL_ROOMS = ("engine.radar", "engine.archives", "engine.networks", "engine.forecasters", "engine.downscalers",
             "engine.deblurrers", "engine.losses", "engine.verification", "engine.training", "engine.export",
             "engine.display", "engine.synthetic", "engine.device")
FORECASTING = Room(("engine.radar", "engine.networks", "engine.forecasters.protocol", "engine.forecasters.tiles"),
                   ("numpy", "scipy", "torch"))
ROOMS = {
    "engine.radar": Room((), ("numpy", "pyproj")),
    "engine.networks": Room((), ("numpy", "torch")),
    "engine.networks.weights": Room(("engine.networks",), ("numpy", "torch", "safetensors")),
    "engine.losses": Room((), ("numpy", "torch")),
    "engine.archives": Room(("engine.radar", "engine.catalogue"), FILE_LIBRARIES),
    "engine.verification": Room(("engine.radar",), ("numpy", "scipy")),
    "engine.forecasters": FORECASTING,
    "engine.forecasters.pysteps_methods": Room(("engine.forecasters",), ("numpy", "pysteps")),
    "engine.downscalers": FORECASTING,
    "engine.downscalers.flow_interpolation": Room(("engine.radar", "engine.forecasters", "engine.downscalers"),
                                                  ("numpy", "torch")),
    "engine.downscalers.neural": Room(("engine.radar", "engine.networks", "engine.forecasters", "engine.downscalers"),
                                      ("numpy", "torch")),
    "engine.deblurrers": FORECASTING,
    "engine.training": Room(("engine.radar", "engine.archives", "engine.networks", "engine.losses",
                             "engine.verification"), ("numpy", "torch", "h5py")),
    "engine.training.moving_packs": Room(("engine.radar", "engine.forecasters", "engine.training"), ("numpy", "torch")),
    "engine.training.downscaling": Room(("engine.radar", "engine.forecasters", "engine.downscalers", "engine.training"),
                                        ("numpy", "torch")),
    "engine.training.ground": Room(("engine.radar", "engine.archives", "engine.training", "resources"), ("numpy",)),
    "engine.training.noising": Room(("engine.radar", "engine.deblurrers", "engine.training"), ("numpy", "torch")),
    "engine.training.sharpening": Room(("engine.radar", "engine.forecasters", "engine.training", "engine.catalogue"),
                                       ("numpy", "torch")),
    "engine.synthetic": Room(("engine.radar",), ("numpy", "scipy", "h5py", "pyproj")),
    "engine.display": Room(("engine.radar",), ("numpy", "contourpy")),
    "engine.export": Room(("engine.radar", "engine.verification", "engine.display"),
                          ("numpy", "PIL", "av", "h5py", "netCDF4", "contourpy", "pyproj", "xarray", "zarr")),
    "engine.jobs": Room((*ALL_ROOMS, "engine.catalogue", "resources"), ("numpy", "platformdirs")),
    "engine.jobs.cluster": Room(("engine.jobs",), ("distributed",)),
    "engine.device": Room((), ("torch",)),
    "engine.catalogue": Room(),
    "engine.errors": Room(),
    "engine.cancel": Room(),
    "engine.service": Room(("engine.jobs", "engine.catalogue", "engine.device")),
    "engine.terminal": Room(("engine.jobs", "engine.catalogue", "engine.device"), ("rich",)),
    "engine.printing": Room((), ("rich",)),
    "engine.command_options": Room(("engine.radar.gridding", "engine.radar.scaling"), ("click",)),
    "engine.commands": Room(("engine.jobs", "engine.catalogue", "engine.printing", "engine.terminal",
                             "engine.command_options", "engine.radar.gridding", "engine.radar.region"), ("click",)),
    "engine.__main__": Room(("engine.commands",)),
    "app": Room(("engine.radar", "engine.catalogue", "engine.jobs", "engine.display", "resources"),
                ("PySide6", "numpy", "platformdirs")),
    "app.__main__": Room(("engine.device",), ("PySide6",)),
    "app.bridge": Room(("engine.catalogue", "engine.jobs", "engine.service"), ("PySide6",)),
    "app.plots": Room(("engine.radar", "engine.jobs", "engine.display", "resources"),
                      ("PySide6", "numpy", "pyqtgraph")),
    "app.panels": Room(("engine.radar", "engine.catalogue", "engine.jobs", "engine.display", "resources"),
                       ("PySide6", "numpy", "pyqtgraph")),
    "resources": Room((), ()),
}


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def room_of(module: str) -> str | None:
    """The innermost room a module stands in."""
    around = [room for room in ROOMS if within(module, room)]
    return max(around, key=len, default=None)


def may_import(module: str, target: str) -> bool:
    name = room_of(module)
    if name is None:
        return module in FREE or target in FREE
    room = ROOMS[name]
    top = target.split(".", maxsplit=1)[0]
    if top in sys.stdlib_module_names:
        return True
    if top not in OURS:
        return top in room.theirs
    own = name.split(".")[0] if name.startswith("app") else name
    if within(target, own) or (target in FREE and top != "app" and name != "resources"):
        return True
    return any(within(target, prefix) for prefix in room.ours)


def is_a_borrowed_type(found: source_tree.Import) -> bool:
    """Somebody else's class named for the type checker; ours must keep to the table there too."""
    return found.typing and found.target.split(".")[0] not in (*OURS, "PySide6", "torch")


@pytest.mark.parametrize("module", sorted(source_tree.modules()))
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    path = source_tree.modules()[module]
    assert module in FREE or room_of(module), f"{module} stands in no room: add it to ROOMS, or move it into one"
    wrong = [f"{path.relative_to(ROOT)}:{found.line} imports {found.target}"
             for found in source_tree.imports(path)
             if not may_import(module, found.target) and not is_a_borrowed_type(found)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("module", "target", "allowed"), [
    ("engine.radar.grid", "pyproj", True),
    ("engine.radar.grid", "torch", False),
    ("engine.radar.grid", "engine.archives.odim", False),
    ("engine.forecasters.rover", "torch.nn.functional", True),
    ("engine.networks.recurrent", "engine.radar.units", False),
    ("engine.networks.cells.convlstm", "safetensors", False),
    ("engine.networks.weights", "safetensors.torch", True),
    ("engine.service", "PySide6.QtCore", False),
    ("engine.jobs.display", "app.session", False),
    ("app.window", "torch", False),
    ("app.window", "engine.service", False),
    ("app.window", "engine.archives.odim", False),
    ("app.window", "pyqtgraph", False),
    ("app.bridge", "engine.service", True),
    ("app.plots.radar_image", "pyqtgraph", True),
    ("app.panels.maps", "app.plots.radar_image", True),
    ("resources", "engine.errors", False),
    ("resources", "importlib.resources", True),
])
def test_the_table_of_rooms_says_what_is_meant(module: str, target: str, allowed: bool) -> None:
    assert may_import(module, target) is allowed


def test_no_circle_of_imports() -> None:
    known = source_tree.modules()
    graph = {name: {found.target for found in source_tree.imports(path)
                    if not (found.lazy or found.typing) and found.target in known and not within(name, found.target)}
             for name, path in known.items()}
    ring = source_tree.circle(graph)
    assert not ring, " -> ".join(ring)


def test_circles_are_found() -> None:
    assert source_tree.circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert source_tree.circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines())
               for path in source_tree.files(*OURS, "packaging", "tests")}
    long = [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > LONGEST_FILE]
    assert not long, "\n".join(long)


def test_no_function_is_too_long() -> None:
    long = [f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {source_tree.length(function)} lines"
            for path in source_tree.files(*OURS, "packaging") for function in source_tree.functions(path)
            if source_tree.length(function) > LONGEST_FUNCTION]
    assert not long, "\n".join(long)


def test_packaging_does_not_hide_the_library_of_that_name() -> None:
    assert not (ROOT / "packaging" / "__init__.py").exists()


@pytest.mark.parametrize("row", catalogue.ROWS, ids=lambda row: f"{row.kind}-{row.name}")
def test_a_row_of_the_catalogue_names_something_that_is_there(row: catalogue.Row) -> None:
    module, _, attribute = row.target.partition(":")
    assert module in source_tree.modules(), f"there is no file for {module}"
    if attribute:
        assert attribute in top_level_names(source_tree.modules()[module])


def top_level_names(path: Path) -> set[str]:
    names = {node.name for node in source_tree.tree(path).body
             if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(source_tree.tree(path)):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_names_in_the_catalogue_are_unique() -> None:
    keys = [(row.kind, row.name) for row in catalogue.ROWS]
    assert len(keys) == len(set(keys))


# A lambda, a closure or a partial connected to a signal runs in the thread that emits: the engine's. Only bound
# methods of QObjects are carried over to the thread that draws. The rule holds for every signal, so that nobody has
# to know which ones come from another thread.
@pytest.mark.parametrize("path", source_tree.files("app"), ids=lambda path: str(path.relative_to(ROOT)))
def test_signals_are_connected_to_bound_methods(path: Path) -> None:
    assert not loose_connections(source_tree.tree(path))


def loose_connections(tree: ast.Module) -> list[str]:
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    calls = [node for node in ast.walk(tree)
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect"]
    return [f"line {call.lineno}: {ast.unparse(call)}" for call in calls
            if any(_is_loose(argument, functions) for argument in [*call.args, *(k.value for k in call.keywords)])]


def _is_loose(argument: ast.expr, functions: set[str]) -> bool:
    if isinstance(argument, ast.Lambda):
        return True
    if isinstance(argument, ast.Call):
        return ast.unparse(argument.func).split(".")[-1] in ("partial", "partialmethod")
    return isinstance(argument, ast.Name) and argument.id in functions


@pytest.mark.parametrize(("source", "loose"), [
    ("signal.connect(self.show_frame)", 0),
    ("signal.connect(other.signal)", 0),
    ("signal.connect(lambda event: self.show(event))", 1),
    ("signal.connect(functools.partial(self.show, 1))", 1),
    ("def f(self):\n    def inner(event): ...\n    signal.connect(inner)", 1),
    ("signal.connect(slot=lambda: None)", 1),
])
def test_loose_connections_are_found(source: str, loose: int) -> None:
    assert len(loose_connections(ast.parse(source))) == loose


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LIGHT_STARTS = [(module, unwanted) for module, unwanted in (
    ("app.window", ("torch", "scipy", "netCDF4", "av", "xarray")),
    ("app.__main__", ("torch", "scipy", "netCDF4", "av", "xarray")),
    ("engine.catalogue", ("torch", "numpy", "PySide6", "pyqtgraph")),
    ("engine.commands", ("torch", "PySide6", "pyqtgraph", "scipy", "netCDF4", "h5py", "av")),
    ("engine.service", ("torch", "PySide6", "pyqtgraph", "scipy", "netCDF4", "h5py", "av")),
) if module in source_tree.modules()]


@pytest.mark.parametrize(("module", "unwanted"), LIGHT_STARTS, ids=[module for module, _ in LIGHT_STARTS])
def test_starting_loads_nothing_heavy(module: str, unwanted: tuple[str, ...]) -> None:
    loaded = run_python(f"import sys, {module}; print(*[name for name in {unwanted!r} if name in sys.modules])")
    assert loaded == ""


def test_signals_of_this_pyside_lose_no_references() -> None:
    """PySide6 6.12.0 on Python 3.11 drops one reference of True or None at each emit, and aborts after some hundred."""
    code = """
import sys
from PySide6.QtCore import QObject, Signal, Slot

class Speaker(QObject):
    said = Signal(bool)

class Listener(QObject):
    def __init__(self):
        super().__init__()
        self.heard = 0
    @Slot(bool)
    def hear(self, word):
        self.heard += word

speaker, listener = Speaker(), Listener()
speaker.said.connect(listener.hear)
before = sys.getrefcount(True), sys.getrefcount(None)
for _ in range(5000):
    speaker.said.emit(True)
    speaker.blockSignals(False)
after = sys.getrefcount(True), sys.getrefcount(None)
print(listener.heard, *(late - early for early, late in zip(before, after)))
"""
    heard, true_change, none_change = map(int, run_python(code).split())
    assert heard == 5000
    assert true_change > -100
    assert none_change > -100


def test_requirements_keep_the_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "torch==2.13.0" in project["dependencies"]
    assert "pyqtgraph>=0.14,<0.15" in project["dependencies"]
    assert "PySide6-Essentials>=6.10.3,<6.12; python_version<'3.12'" in project["dependencies"]
