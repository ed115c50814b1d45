"""The notebooks run from first to last cell, and the first hour can be typed as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
NEEDED = ("geopandas", "ipyleaflet", "matplotlib", "rioxarray", "openvino")
MISSING = [each for each in NEEDED if not find_spec(each)]
TRAINS = all(find_spec(each) for each in ("torch", "accelerate"))


MOST_S = 45 * 60
"""A notebook takes half a minute of an idle processor, the first hour two: what takes this long
is stuck, or waits for other work."""


def run(command: list[str], folder: Path) -> str:
    """Run a command in `folder` with this Python's programs; returns what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"MPLBACKEND": "agg", "TMPDIR": str(folder), "PATH": path}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=MOST_S
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_every_notebook_is_run_here() -> None:
    names = set(re.findall(r"[a-z-]+\.py", Path(__file__).read_text(encoding="utf-8")))
    assert {each.name for each in NOTEBOOKS.glob("*.py")} <= names


needs_extra = pytest.mark.skipif(
    bool(MISSING),
    reason=f"no {', '.join(MISSING)}: the notebooks are not run (pip install '.[notebooks]')",
)
needs_training = pytest.mark.skipif(not TRAINS, reason="nothing is trained: no '.[train]'")


@needs_extra
@pytest.mark.parametrize(
    ("notebook", "printed"),
    [
        ("scene-to-map.py", r"source='name'"),
        ("judge-over-angles.py", r"mean F1 over the three categories: 0\.[5-9]"),
    ],
)
def test_a_notebook_runs(notebook: str, printed: str, tmp_path: Path) -> None:
    assert re.search(printed, run([sys.executable, str(NOTEBOOKS / notebook)], tmp_path))


@needs_extra
@needs_training
@pytest.mark.long
def test_the_notebook_that_trains_runs(tmp_path: Path) -> None:
    printed = run([sys.executable, str(NOTEBOOKS / "train-ten-tiles.py")], tmp_path)
    assert re.search(r"\d+ footprints", printed)


@needs_training
@pytest.mark.long
@pytest.mark.skipif(shutil.which("bash") is None, reason="the first hour is typed into bash")
def test_the_first_hour_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guide" / "first-hour.md").read_text(encoding="utf-8")
    _install, _, rest = page.partition("## A picture to try")
    typed = "\n".join(line[4:] for line in rest.splitlines() if line.startswith("    "))
    assert typed.count("snet4 ") > 10
    (tmp_path / "training").symlink_to(ROOT / "training")  # the reader sits in snet4's folder
    printed = run(["bash", "-e", "-c", typed], tmp_path)
    [found] = re.findall(r"^(\d+) footprints in footprints\.gpkg", printed, re.M)
    [told] = re.findall(r"Of the (\d+) buildings", page)
    assert abs(int(found) - int(told)) <= 2  # processors round differently
    assert (tmp_path / "runs" / "more" / "model.safetensors").is_file()
