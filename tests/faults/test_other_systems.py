"""What Windows and macOS lack, taken away on Linux; the systems themselves were never tried."""

from __future__ import annotations

import errno
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snet4core.errors import OutputError, UsageError
from snet4core.files import outputs
from snet4core.files.workfolder import work_folder
from snet4core.jobs.job import Job
from snet4core.jobs.per_scene import each_scene
from snet4core.maps.hardware import most_processes
from snet4core.parts.plan import Choices
from snet4core.scene.door import admit, opened
from snet4core.scene.inputs import SceneInput

HELPER = Path(__file__).resolve().parents[1] / "helpers" / "other_systems.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux pretends to be another")


def snet4(folder: Path, *arguments: object, system: str | None = None) -> str:
    """stdout of a command that succeeds, on this system or as if on another."""
    program = ["-m", "snet4_cli"] if system is None else [str(HELPER), system]
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments)], cwd=folder, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture, and what Linux makes of it."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from snet4_training.scenes.dataset import parse_looks, write_scenes

    folder = tmp_path_factory.mktemp("systems")
    write_scenes(folder / "places", 1, parse_looks("nadir8"), 9_000_017, size_px=200)
    next(folder.rglob("*.tif")).rename(folder / "scene_nadir8.tif")
    for name in ("out.gpkg", "out.fgb"):
        snet4(folder, *command(name))
    return folder


def command(name: str, *more: object) -> list[object]:
    """Bf16 is Linux's alone: other systems do not tell what the processor can do."""
    table = f"{name}.csv"
    return ["run", "scene_nadir8.tif", "-o", name, "--csv", table, "--precision", "fp32", *more]


@pytest.mark.parametrize(
    ("system", "name"), [("win32", "out.gpkg"), ("win32", "out.fgb"), ("darwin", "out.gpkg")]
)
def test_a_run_writes_the_same_bytes_there_and_leaves_nothing(
    runs: Path, system: str, name: str
) -> None:
    names = (name, f"{name}.csv")
    before = [(runs / each).read_bytes() for each in names]
    snet4(runs, *command(name, "--overwrite", "--resume"), system=system)
    assert [(runs / each).read_bytes() for each in names] == before
    assert not list(runs.glob(".snet4-*"))
    assert not list(runs.glob("*.parts"))


def test_an_old_code_page_prints_other_alphabets_escaped(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows does where stdout is no console; the run is done by then."""
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    (runs / "\u57ce_nadir8.tif").write_bytes((runs / "scene_nadir8.tif").read_bytes())
    assert "\\u57ce_nadir8" in snet4(runs, "info", "\u57ce_nadir8.tif")


class TestWindows:
    @pytest.fixture(autouse=True)
    def _on_windows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")

    def test_a_result_waits_for_a_scanner_that_looks_at_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries = refusals(monkeypatch, 3)
        (tmp_path / "new").write_text("new")
        outputs.move(tmp_path / "new", tmp_path / "old")
        assert (tmp_path / "old").read_text() == "new"
        assert len(tries) == 4

    def test_a_result_that_a_program_holds_open_is_refused_after_a_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusals(monkeypatch, 1000)
        monkeypatch.setattr(outputs, "_PATIENCE_S", 0.1)
        target = tmp_path / "layer.gpkg"
        target.write_text("old")
        with (
            pytest.raises(OutputError, match=r"layer\.gpkg could not be written"),
            outputs.replacing(target) as (temporary,),
        ):
            temporary.write_text("new")
        assert target.read_text() == "old"

    def test_more_processes_than_it_can_wait_for_are_not_started(self) -> None:
        assert [most_processes(each) for each in (1, 60, 61, 500)] == [1, 60, 60, 60]

    def test_work_folders_let_others_in_so_that_results_do(self, tmp_path: Path) -> None:
        with work_folder(tmp_path) as folder:
            assert folder.stat().st_mode & 0o777 == tmp_path.stat().st_mode & 0o777 | 0o055
        assert not list(tmp_path.iterdir())


def refusals(monkeypatch: pytest.MonkeyPatch, count: int) -> list[Path]:
    """Let the next `count` renamings fail, as over a file that is open; the tries so far."""
    tries: list[Path] = []
    replace = Path.replace

    def replacing(path: Path, target: Path) -> Path:
        tries.append(path)
        if len(tries) <= count:
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replacing)
    return tries


def test_elsewhere_a_refused_renaming_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = refusals(monkeypatch, 1)
    (tmp_path / "new").write_text("new")
    with pytest.raises(PermissionError):
        outputs.move(tmp_path / "new", tmp_path / "old")
    assert len(tries) == 1


@pytest.mark.parametrize("system", ["win32", "darwin", "linux"])
@pytest.mark.parametrize(
    ("one", "other"), [("Town", "town"), (unicodedata.normalize("NFD", "Bl\u00e9"), "Bl\u00e9")]
)
def test_results_whose_names_are_one_there_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, one: str, other: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    scenes = [SceneInput(f"a/{one}.tif"), SceneInput(f"b/{other}.tif")]
    job = Job(tuple(scenes), Choices(), tmp_path / "{scene}.gpkg")
    if system == "linux":
        assert len(each_scene(job)) == 2
        return
    with pytest.raises(UsageError, match="would both be written"):
        each_scene(job)


def test_where_links_are_forbidden_a_hard_link_is_a_second_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Callable[..., Path]
) -> None:
    """GDAL sees ENVI's file and header under another name, and nothing else beside them."""
    made = picture(np.full((4, 40, 50), 7, np.uint16), "scene.dat", driver="ENVI")
    monkeypatch.setattr(Path, "symlink_to", forbidden)
    with opened(admit(str(made))) as dataset:
        assert dataset.read().tolist() == np.full((4, 40, 50), 7).tolist()


def forbidden(path: Path, *_: object, **__: object) -> None:
    raise OSError(1314, "A required privilege is not held by the client", str(path))
