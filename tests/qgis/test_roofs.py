"""Roofs and heights in QGIS: a second layer beside the first, blocks in a 3D view."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import (
    QgsApplication,
    QgsExpression,
    QgsExpressionContext,
    QgsFeature,
    QgsGeometry,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsReadWriteContext,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtWidgets import QMainWindow
from qgis.PyQt.QtXml import QDomDocument
from qgis_helpers import ENGINE, ROOT, told

ALGORITHM = "snet4:extractfootprints"
STYLES = ROOT / "snet4core" / "layers" / "styles"


@pytest.fixture(autouse=True)
def roofed(engine_is: Any, stub: Any) -> None:
    """The engine with a model that gives roofs and heights."""
    engine_is(stub("roofed"))


def run(qgis: Any, town: Path, feedback: Any = None, **more: Any) -> dict[str, Any]:
    parameters = {"INPUT": str(town), "OFF_NADIR": 45, "OUTPUT": "memory:", **more}
    return qgis.run(ALGORITHM, parameters, feedback=feedback or told())


def names(layer: QgsVectorLayer) -> list[str]:
    return [field.name() for field in layer.fields()]


def test_roofs_come_as_a_second_layer(qgis: Any, town: Path) -> None:
    result = run(qgis, town, ROOFS="memory:")
    footprints, roofs = result["OUTPUT"], result["ROOFS"]
    assert names(footprints)[-2:] == ["height_m", "height_source"]
    assert names(roofs) == ["footprint_id", "scene", "confidence", "height_m"]
    assert footprints.featureCount() == roofs.featureCount() == 11
    places = [
        {each["footprint_id"]: each.geometry().boundingBox() for each in layer.getFeatures()}
        for layer in (footprints, roofs)
    ]
    # The first house is 12 m high, and the picture was taken at 45 degrees, looking north.
    assert places[1][1].yMinimum() - places[0][1].yMinimum() == pytest.approx(12.0)


def test_no_roofs_unless_they_are_asked_for(qgis: Any, town: Path) -> None:
    assert "ROOFS" not in run(qgis, town)


def test_a_batch_may_leave_the_cell_of_the_roofs_empty(
    qgis: Any, town: Path, tmp_path: Path
) -> None:
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    window = QMainWindow()
    panel = BatchAlgorithmDialog(algorithm, window).mainWidget()
    column = panel.parameter_to_column["INPUT"]
    panel.wrappers[0][column].setParameterValue(str(town), panel.processing_context)
    cell = panel.tblParameters.cellWidget(1, panel.parameter_to_column["OUTPUT"])
    cell.setValue(str(tmp_path / "found.gpkg"))
    parameters, possible = panel.parametersForRow(0)
    assert possible
    assert parameters["ROOFS"].sink.staticValue() == ""
    result, fine = algorithm.run(parameters, QgsProcessingContext(), told())
    assert fine
    assert result["COUNT"] == 11
    assert "ROOFS" not in result


def test_maps_give_no_roofs_to_an_empty_place(
    qgis: Any, scene: Path, engine_is: Any, tmp_path: Path
) -> None:
    engine_is(ENGINE)
    maps, nowhere = str(tmp_path / "maps.tif"), QgsProcessingOutputLayerDefinition("")
    first = {"INPUT": str(scene), "OUTPUT": "memory:", "SAVE_MAPS": maps, "ROOFS": nowhere}
    count = qgis.run(ALGORITHM, first, feedback=told())["COUNT"]
    again = {"INPUT": maps, "OUTPUT": "memory:", "ROOFS": nowhere}
    result = qgis.run("snet4:polygonizemaps", again, feedback=told())
    assert result["COUNT"] == count
    assert "ROOFS" not in result


def test_a_model_without_roofs_says_so(qgis: Any, town: Path, engine_is: Any, stub: Any) -> None:
    engine_is(stub("plain"))
    feedback = told()
    result = run(qgis, town, feedback, ROOFS="memory:")
    assert "ROOFS" not in result
    assert result["COUNT"] == 3
    assert "The model gives no roofs" in feedback.text


def test_low_buildings_are_left_out(qgis: Any, town: Path) -> None:
    result = run(qgis, town, ROOFS="memory:", HEIGHT_MIN=13)
    heights = [each["height_m"] for each in result["OUTPUT"].getFeatures()]
    assert result["COUNT"] == len(heights) == result["ROOFS"].featureCount() == 5
    assert sorted(each for each in heights if each)[0] == 15.0


def test_both_geopackages_carry_their_styles(qgis: Any, town: Path, tmp_path: Path) -> None:
    files = [tmp_path / "found.gpkg", tmp_path / "roofs.gpkg"]
    run(qgis, town, OUTPUT=str(files[0]), ROOFS=str(files[1]))
    found, roofs = (QgsVectorLayer(str(path), path.stem, "ogr") for path in files)
    colours = [layer.renderer().symbol().symbolLayer(1).color().name() for layer in (found, roofs)]
    assert colours == ["#ffe100", "#5ac8ff"]


@pytest.mark.parametrize("name", ["footprints.qml", "footprints_heights.qml", "roofs.qml"])
@pytest.mark.parametrize("fields", ["&field=height_m:double", ""])
def test_styles_load_with_heights_and_without(qgis: Any, name: str, fields: str) -> None:
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32616{fields}", "any", "memory")
    message, fine = layer.loadNamedStyle(str(STYLES / name))
    assert fine, message
    assert layer.renderer().symbol().symbolLayerCount() == 2


@pytest.mark.parametrize("fields", ["&field=height_m:double", ""])
def test_heights_are_written_beside_the_footprints(qgis: Any, fields: str) -> None:
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32616{fields}", "any", "memory")
    for number, height_m in enumerate((12.4, 30.0, None)):
        feature = QgsFeature(layer.fields())
        if fields:
            feature["height_m"] = height_m
        left = 740000 + 60 * number
        box = QgsRectangle(left, 3719960, left + 40, 3720000)
        feature.setGeometry(QgsGeometry.fromRect(box))
        layer.dataProvider().addFeature(feature)
    layer.loadNamedStyle(str(STYLES / "footprints_heights.qml"))
    assert layer.labelsEnabled()
    assert labels_at(layer, 2000) == (["12 m", "30 m"] if fields else [])
    assert labels_at(layer, 20000) == []  # a city is no carpet of numbers


def labels_at(layer: QgsVectorLayer, scale: float) -> list[str]:
    """The texts that are drawn on a map of this scale."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setOutputSize(QSize(800, 600))
    half_m = 0.1 * scale  # the picture is 21 cm wide at 96 dpi
    middle = QgsPointXY(740080, 3719980)
    settings.setExtent(QgsRectangle.fromCenterAndSize(middle, 2 * half_m, 1.5 * half_m))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return sorted(each.labelText for each in job.takeLabelingResults().allLabels())


@pytest.mark.parametrize("fields", ["&field=height_m:double", ""])
def test_blocks_are_as_high_as_the_field_says(qgis: Any, fields: str) -> None:
    three = pytest.importorskip("qgis._3d", reason="this QGIS has no 3D")
    three.Qgs3D.initialize()  # the application does so itself
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32616{fields}", "any", "memory")
    layer.loadNamedStyle(str(STYLES / "footprints_heights.qml"))
    document = QDomDocument()
    element = document.createElement("renderer-3d")
    layer.renderer3D().writeXml(element, QgsReadWriteContext())
    document.appendChild(element)
    properties = ElementTree.fromstring(document.toString())
    [extrusion] = properties.iterfind(".//Option[@name='extrusionHeight']")
    values = {each.get("name"): each.get("value") for each in extrusion}
    assert values["active"] == "true"
    expression = QgsExpression(values["expression"])
    for value, expected in ((12.5, 12.5), (None, 0)):
        feature = QgsFeature(layer.fields())
        if fields:
            feature["height_m"] = value
        context = QgsExpressionContext()
        context.setFeature(feature)
        assert expression.evaluate(context) == (expected if fields else 0)
        assert not expression.hasEvalError()
