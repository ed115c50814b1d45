"""What the doctests of the face find where they run: a folder with a rendered `scene.tif`."""

from __future__ import annotations

from pathlib import Path

import pytest

collect_ignore = ["tests/helpers/under_qt6.py"]  # a program for a Python that has PyQt6


@pytest.fixture(scope="session")
def rendered_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place of 320 x 320 pixels, seen from 8 degrees; made once a process."""
    from snet4_training.scenes.dataset import parse_looks, write_scenes

    folder = tmp_path_factory.mktemp("rendered") / "places"
    write_scenes(folder, 1, parse_looks("nadir8"), 75, size_px=320)
    return next(folder.rglob("*.tif"))


@pytest.fixture(autouse=True)
def _scene_beside_the_doctest(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Examples that name `scene.tif` run in a folder of their own that holds one."""
    example = getattr(request.node, "dtest", None)
    if example is not None and any("scene.tif" in part.source for part in example.examples):
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
        (tmp_path / "scene.tif").write_bytes(request.getfixturevalue("rendered_scene").read_bytes())
        monkeypatch.chdir(tmp_path)
