"""Small things that make a result trustworthy: names, history, order, states, words, times."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import (
    QgsApplication,
    QgsExpression,
    QgsExpressionContext,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsSettings,
    QgsVectorLayer,
)
from qgis_helpers import ROOT, told

ALGORITHM = "snet4:extractfootprints"


@pytest.fixture(autouse=True)
def known_answer(engine_is: Any, stub: Any) -> Any:
    engine_is(stub("plain"))
    yield
    QgsProject.instance().clear()


def loaded(qgis: Any, **parameters: Any) -> dict[str, Any]:
    return qgis.runAndLoadResults(ALGORITHM, parameters, feedback=told())


def layers() -> list[Any]:
    """From top to bottom."""
    return [node.layer() for node in QgsProject.instance().layerTreeRoot().findLayers()]


def test_a_layer_says_where_it_comes_from(qgis: Any, town: Path, tmp_path: Path) -> None:
    loaded(qgis, INPUT=str(town), OFF_NADIR=30, OUTPUT="TEMPORARY_OUTPUT")
    [layer] = layers()
    assert layer.name() == "town 30° footprints"
    index = layer.fields().indexOf("area_m2")
    assert layer.attributeAlias(index) == "Area, m²"
    history = layer.metadata().history()
    from snet4.about import version

    assert re.match(rf"snet4 \d\S*, plugin {re.escape(version())}", history[0])
    assert "Model: bright" in history[1]
    assert f"snet4 run {town}" in history[2]


def test_a_geopackage_keeps_its_history(qgis: Any, town: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.gpkg"
    qgis.run(ALGORITHM, {"INPUT": str(town), "OFF_NADIR": 30, "OUTPUT": str(path)})
    layer = QgsVectorLayer(str(path), "whatever", "ogr")
    history = layer.metadata().history()
    from snet4.about import version

    assert re.match(rf"snet4 \d\S*, plugin {re.escape(version())}", history[0])
    assert f"snet4 run {town}" in history[2]
    assert "town" in layer.metadata().abstract()


def test_a_feature_is_shown_by_number_and_height(
    qgis: Any, town: Path, engine_is: Any, stub: Any
) -> None:
    engine_is(stub("roofed"))
    loaded(qgis, INPUT=str(town), OFF_NADIR=30, OUTPUT="TEMPORARY_OUTPUT")
    [layer] = layers()
    shown = []
    for feature in layer.getFeatures():
        context = QgsExpressionContext()
        context.setFeature(feature)
        shown.append(str(QgsExpression(layer.displayExpression()).evaluate(context)))
    assert any(text.endswith(" m") and ", " in text for text in shown), shown
    assert all(text[:1].isdigit() for text in shown), shown


@pytest.mark.parametrize("place", ["{folder}/a maps.tif", "{folder}//maps.tif", "./maps.tif"])
def test_kept_maps_lie_half_transparent_below_the_footprints(
    qgis: Any, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    maps = place.format(folder=tmp_path)
    loaded(qgis, INPUT=str(town), OFF_NADIR=30, OUTPUT="TEMPORARY_OUTPUT", SAVE_MAPS=maps)
    above, below = layers()
    assert above.name().endswith("footprints")
    assert below.renderer().type() == "singlebandpseudocolor"
    assert below.renderer().band() == 1
    assert below.renderer().opacity() == 0.5
    assert below.renderer().alphaBand() == -1


@pytest.mark.parametrize("given", [True, False, "true", "false", 1, 0, 2, "", None])
def test_right_angles_have_three_states(qgis: Any, town: Path, given: Any) -> None:
    from snet4.algorithms.shapes import chosen

    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    parameters = {"INPUT": str(town), "OUTPUT": "memory:", "REGULARIZE": given}
    context = QgsProcessingContext()
    possible, sentence = algorithm.checkParameterValues(parameters, context)
    assert possible, sentence
    wanted = {True: True, False: False, "true": True, "false": False}.get(given)
    assert chosen(algorithm, parameters, context)["regularize"] is wanted


def test_one_footprint_is_one(qgis: Any, town: Path) -> None:
    feedback = told()
    box = "740000,740050,3719960,3720000 [EPSG:32616]"
    parameters = {"INPUT": str(town), "OFF_NADIR": 30, "OUTPUT": "memory:", "EXTENT": box}
    assert qgis.run(ALGORITHM, parameters, feedback=feedback)["COUNT"] == 1
    assert "1 footprint found." in feedback.lines


def test_a_run_teaches_the_estimate_of_the_next(qgis: Any, town: Path) -> None:
    QgsSettings().remove("snet4/runs")
    first, second = told(), told()
    for feedback in (first, second):
        parameters = {"INPUT": str(town), "OFF_NADIR": 30, "OUTPUT": "memory:"}
        qgis.run(ALGORITHM, parameters, feedback=feedback)
    assert "better known after the first run" in first.text
    assert "as measured here" in second.text


def test_a_tenth_is_a_line_of_the_log(qgis: Any) -> None:
    from snet4.algorithms.base import tell

    lines: list[str] = []

    class Feedback(QgsProcessingFeedback):
        def setProgressText(self, text: str) -> None:
            lines.append(text)

    feedback = Feedback()
    for percent in range(0, 101):
        tell({"event": "progress", "percent": percent, "left_s": 102 - percent}, feedback)
    assert len(lines) == 10


@pytest.mark.parametrize("by_qgis", [True, False])
def test_a_gpu_that_cannot_be_used_names_the_button_that_installs_it(
    qgis: Any, town: Path, engine_is: Any, stub: Any, tmp_path: Path, by_qgis: bool
) -> None:
    """The reason is the engine's own; its command works, and for QGIS's engine a button does."""
    from snet4.environment import place

    reason = "The device 'cuda' needs torch, which is not installed: use --device cpu, or run: ..."
    lines = [
        {"event": "hello", "protocol": 1, "snet4": "0"},
        {"event": "error", "code": 4, "sentence": reason, "lacks_library": True},
    ]
    python = (place() if by_qgis else tmp_path) / "engine-0" / "bin" / "python"
    python.parent.mkdir(parents=True)
    printed = "\n".join(map(json.dumps, lines))
    python.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\n", encoding="utf-8")
    python.chmod(0o755)
    engine_is(str(python))
    try:
        with pytest.raises(QgsProcessingException) as failed:
            qgis.run(ALGORITHM, {"INPUT": str(town), "OUTPUT": "memory:", "DEVICE": "cuda"})
    finally:
        shutil.rmtree(python.parents[1])
    assert reason in str(failed.value)
    assert ("'For an NVIDIA GPU, too'" in str(failed.value)) is by_qgis


def test_tables_keep_their_columns_in_the_log(qgis: Any) -> None:
    from snet4.algorithms.base import kept_columns

    line = "all            0.5000      7"
    kept = kept_columns(line)
    assert "  " not in kept
    assert kept.replace("\u00a0", " ") == line


def test_people_find_it_by_what_they_call_it(qgis: Any) -> None:
    tags = QgsApplication.processingRegistry().algorithmById(ALGORITHM).tags()
    assert {"AI", "detect", "segment"} <= set(tags)
    assert "tags=AI, detect, segment" in (ROOT / "metadata.txt").read_text(encoding="utf-8")
