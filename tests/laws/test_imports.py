"""The plan of the house, as a law: which package may import which.

`snet4core` has one package for each step from a raster to a layer. They stand in a row:

    files < scene < look < model < maps < labels < outlines < footprints < layers
        < report < parts < jobs < worker

and each imports only what stands to its left in `ROW`, where the few single modules have their
places too. Imports inside a package form no cycle either. Around `snet4core` stand the command
line, training and the QGIS plugin: it knows none of them, and the plugin talks to the engine
over a pipe alone.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import snet4core

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "snet4core"

ROW: tuple[tuple[str, ...], ...] = (
    ("sentence",),
    ("errors",),
    ("extras",),  # libraries that may be missing
    ("progress",),
    ("settings",),
    ("windows",),
    ("grid",),
    ("kernels",),  # inner loops that are compiled, where they are
    ("files",),  # nothing half-written: outputs, places, names
    ("scene",),  # what a picture is: door, bands, no-data, georeference, reader
    ("look",),  # how tilted it is, and who says so
    ("model",),  # what a model is: card, weights, network, graph
    ("maps",),  # pictures to maps: engines, predictor, maps file
    ("labels",),  # maps to buildings: seams, seeds, flood, cuts
    ("outlines",),  # labels to polygons
    ("footprints",),  # on the ground: place, area, confidence, order
    ("layers",),  # files of footprints, written and read
    ("score",),
    ("report",),  # a page about a layer
    ("parts",),  # one scene, plan to footprints
    ("jobs",),  # many scenes, many machines
    ("worker",),  # the program over a pipe
)
"""Packages and modules at the top of `snet4core`, from left to right. Those that share a place
do not know each other."""

LOADERS = ("import_module", "loaded")
"""Functions that import what they are given: Python's own, and that of `extras`."""

FACE = "snet4core"
"""`snet4core/__init__.py` itself: it hands names on lazily, and every room may ask its version."""

ONLY_IN: dict[str, set[str]] = {
    # Who computes the network ...
    "torch": {
        "model.network", "model.look_layers", "model.folded", "model.weights", "model.exporter",
        "model.importer", "model.height_decoder", "model.upsampling", "maps.torch_network",
        "maps.networks",  # says how to install it
        "maps.runtime", "jobs.processes",  # ask it about GPUs, where it is installed
    },
    "segmentation_models_pytorch": {"model.network", "model.upsampling", "maps.networks"},
    "timm": {"model.folded"},
    "openvino": {"model.graph"},
    # ... and what an installation may lack.
    "fsspec": {"files.object_store"},
    "distributed": {"jobs.cluster"},
    "dask": {"jobs.cluster"},
    "jinja2": {"report.page"},
    "pyarrow": {"layers.geoparquet"},
    "geopandas": {"parts.face"},
}  # fmt: skip
"""Libraries that few rooms may import, also inside functions."""

HEAVY = {
    "torch",
    "openvino",
    "rasterio",
    "fiona",
    "pyogrio",
    "shapely",
    "scipy",
    "skimage",
    "numpy",
}
"""What takes a tenth of a second or more to import."""

MOST_MODULES, MOST_LINES, MOST_TRAINING_MODULES = 18, 380, 22


# --- reading the code ---


def modules(top: Path = CORE) -> list[str]:
    """Dotted names of all modules below a package, without the package's own name."""
    paths = sorted(path.relative_to(top).with_suffix("") for path in top.rglob("*.py"))
    return [".".join(path.parts) for path in paths if path.name != "__init__"]


def file_of(module: str) -> Path:
    return CORE.joinpath(*module.split(".")).with_suffix(".py")


@cache
def imported(path: Path) -> frozenset[str]:
    """Absolute dotted names of everything that a file imports, also inside functions, for type
    checkers and by `LOADERS`; `from package import name` gives `package.name`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in LOADERS:
            found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return frozenset(found)


def rooms_of(module: str) -> set[str]:
    """The modules of `snet4core` that one of them imports."""
    known = set(modules())
    found = set()
    for name in imported(file_of(module)):
        if name.startswith("snet4core."):
            inside = name.removeprefix("snet4core.")
            while inside and inside not in known:
                inside = inside.rpartition(".")[0]
            if inside:
                found.add(inside)
    return found - {module}


def top(module: str) -> str:
    return module.partition(".")[0]


def libraries(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def cycle(imports_of: dict[str, set[str]]) -> list[str]:
    """One cycle among the imports, as the modules on it; empty where there is none."""
    done: set[str] = set()

    def walk(room: str, way: list[str]) -> list[str]:
        if room in way:
            return [*way[way.index(room) :], room]
        if room in done:
            return []
        for after in sorted(imports_of.get(room, ())):
            if found := walk(after, [*way, room]):
                return found
        done.add(room)
        return []

    for room in sorted(imports_of):
        if found := walk(room, []):
            return found
    return []


# --- the row ---


def test_the_row_names_what_stands_at_the_top() -> None:
    standing = {top(module) for module in modules()}
    assert standing == {room for place in ROW for room in place}
    assert len(standing) <= 22


@pytest.mark.parametrize("module", modules())
def test_each_room_imports_only_what_stands_to_its_left(module: str) -> None:
    place = {room: number for number, rooms in enumerate(ROW) for room in rooms}
    here = top(module)
    wrong = {
        other
        for other in rooms_of(module)
        if top(other) != here and place[top(other)] >= place[here]
    }
    assert not wrong, f"{module} imports {sorted(wrong)}, which stand to its right"


def test_there_is_no_cycle() -> None:
    assert cycle({module: rooms_of(module) for module in modules()}) == []


def test_a_cycle_would_be_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# --- the neighbours ---


@pytest.mark.parametrize("module", modules())
def test_the_core_knows_none_of_its_neighbours(module: str) -> None:
    assert not libraries(file_of(module)) & {
        "snet4_cli", "snet4_training", "qgis_plugin", "qgis", "click"
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "training").rglob("*.py")), ids=lambda p: p.stem)
def test_training_knows_nothing_of_the_command_line(path: Path) -> None:
    assert not libraries(path) & {"snet4_cli", "qgis_plugin", "qgis", "click"}


@pytest.mark.parametrize("path", sorted((ROOT / "qgis_plugin").rglob("*.py")), ids=lambda p: p.stem)
def test_the_plugin_talks_to_the_engine_over_a_pipe_alone(path: Path) -> None:
    assert not libraries(path) & {"snet4core", "snet4_cli", "snet4_training"}


# --- libraries that few rooms may import ---


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_in_the_rooms_named(library: str) -> None:
    users = {module for module in modules() if library in libraries(file_of(module))}
    assert users <= ONLY_IN[library]


@pytest.mark.parametrize("library", ONLY_IN)
def test_the_rooms_named_do_import_it(library: str) -> None:
    """A room that no longer needs the library leaves the list."""
    users = {module for module in modules() if library in libraries(file_of(module))}
    assert users >= ONLY_IN[library]


# --- what is light ---


def loaded_after(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `statement`."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import snet4core",
        "import snet4core.worker.__main__",  # it watches the pipe before anything heavy loads
        "import " + ", ".join(f"snet4core.{place}" for places in ROW for place in places
                              if (CORE / place).is_dir()),
        "from snet4_cli.main import snet4; snet4.main(['--help'], standalone_mode=False)",
    ],
    ids=["import", "worker", "packages", "help"],
)  # fmt: skip
def test_nothing_heavy_is_loaded(statement: str) -> None:
    assert not loaded_after(statement) & HEAVY


def test_a_worker_answers_before_it_loads_what_shapes_alone_need() -> None:
    """A plan, a score or an error waits for no tenth of a second that it does not need."""
    assert not loaded_after("import snet4core.worker.jobs") & {"scipy", "skimage", "pyogrio"}


NEEDS_TORCH = ONLY_IN["torch"] - {"maps.runtime", "jobs.processes"}


def test_rooms_outside_the_network_load_no_torch() -> None:
    light = [f"snet4core.{module}" for module in modules() if module not in NEEDS_TORCH]
    assert "torch" not in loaded_after("import " + ", ".join(light))


def test_every_command_has_help_that_loads_no_torch() -> None:
    from snet4_cli.main import COMMANDS

    calls = "; ".join(
        f"snet4.main(['{name}', '--help'], standalone_mode=False)" for name in COMMANDS
    )
    assert "torch" not in loaded_after(f"from snet4_cli.main import snet4; {calls}")


# --- faces ---


def _faces() -> Iterator[ModuleType]:
    """`snet4core` and its packages."""
    yield snet4core
    for each in pkgutil.iter_modules(snet4core.__path__, "snet4core."):
        if each.ispkg:
            yield importlib.import_module(each.name)


FACES = list(_faces())


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_a_face_says_its_idea_and_keeps_what_it_lists(face: ModuleType) -> None:
    assert face.__doc__
    for name in face.__all__:
        assert getattr(face, name) is not None


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_no_name_of_a_face_is_also_a_module(face: ModuleType) -> None:
    """`package.name` would be the function before the module is imported, and the module after."""
    inside = {each.name for each in pkgutil.iter_modules(face.__path__)}
    assert not (set(face.__all__) - {"score"}) & inside


def _used_of_packages() -> dict[str, set[str]]:
    """Package -> the names in it that code outside of it imports."""
    known = set(modules())
    used: dict[str, set[str]] = {}
    for folder in ("snet4core", "cli", "training"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            own = ".".join(path.relative_to(ROOT).parts[:2])
            for name in imported(path):
                module, _, wanted = name.removeprefix("snet4core.").rpartition(".")
                package = f"snet4core.{top(module)}"
                if module in known and "." in module and package != own:
                    used.setdefault(package, set()).add(wanted)
    return used


@pytest.mark.parametrize("face", FACES[1:], ids=lambda face: face.__name__)
def test_a_face_lists_what_others_use_of_its_package(face: ModuleType) -> None:
    """But functions that bear the name of their module, which only the module can hand out."""
    inside = {each.name for each in pkgutil.iter_modules(face.__path__)}
    assert set(face.__all__) == _used_of_packages().get(face.__name__, set()) - inside


def test_the_public_face() -> None:
    assert set(snet4core.__all__) == {
        "Choices", "Detected", "Footprints", "Look", "ShapeSettings", "Snet4Error", "__version__",
        "detect", "load_model", "polygonize", "score",
    }  # fmt: skip
    assert isinstance(snet4core.score, ModuleType)


# --- size limits: raised only on purpose ---


def folders(top: Path) -> dict[Path, int]:
    every = {path.parent for path in top.rglob("*.py")}
    return {
        folder: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in every
    }


def test_no_folder_holds_more_modules_than_one_can_keep_in_mind() -> None:
    assert max(folders(CORE).values()) <= MOST_MODULES
    assert max(folders(ROOT / "training").values()) <= MOST_TRAINING_MODULES


def test_no_module_is_longer_than_a_few_screens() -> None:
    long = {
        module: lines
        for module in modules()
        if (lines := len(file_of(module).read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long
