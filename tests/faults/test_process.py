"""The whole command under load and damage: memory, Ctrl-C, and damaged files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rasterio
from affine import Affine

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_huge_sparse_scene_shows_progress_in_little_memory_and_stops_at_once(
    tmp_path: Path,
) -> None:
    """10,000 MPix, of which 4 hold data: `snet4 run` itself, on a terminal, then Ctrl-C."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    import pty
    import termios

    scene = tmp_path / "sparse.tif"
    with rasterio.open(
        scene, "w", driver="GTiff", height=100_000, width=100_000, count=4, dtype="uint16",
        crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), sparse_ok=True,
        tiled=True, blockxsize=512, blockysize=512, compress="deflate", bigtiff="YES",
    ):  # fmt: skip
        pass
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "snet4_cli", "run", scene, "-o", tmp_path / "o.gpkg",
         "--off-nadir", "30", "--device", "cpu"],
        stdin=there, stdout=there, stderr=there,
        # Whoever started the tests in the background had Ctrl-C ignored, and so would we.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(there)
    shown = b""
    give_up = time.monotonic() + 120
    while not re.search(rb"\b[1-9]\d*%", shown):
        assert time.monotonic() < give_up, shown[-500:]
        shown += os.read(here, 4096)
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak_mib = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    while True:  # a terminal that nobody reads blocks who writes to it
        try:
            said = os.read(here, 4096)
        except OSError:
            break
        shown += said
        if not said:
            break
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - asked < 5
    assert peak_mib < 2048
    assert b"Traceback" not in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sparse.tif"]


@pytest.mark.parametrize("count", [25, pytest.param(250, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["tif", "csv", "geojson", "safetensors"])
def test_damaged_files_are_one_sentence_or_a_result(kind: str, count: int, tmp_path: Path) -> None:
    """Seeded flips, in a process of their own: a death by signal would be seen."""
    if kind == "safetensors":
        pytest.importorskip("torch", reason="torch is not installed")
        pytest.importorskip("segmentation_models_pytorch")
    answer = subprocess.run(
        [sys.executable, "-m", "helpers.damaged", kind, str(count), str(tmp_path)],
        cwd=ROOT / "tests", capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-3000:]
    facts = json.loads(answer.stdout)
    assert facts["files"] == count
    assert facts["refused"] > 0
    assert facts["unnamed"] == []
    assert facts["slowest_s"] < 10
    assert "Traceback" not in answer.stderr
