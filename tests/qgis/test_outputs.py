"""Where the layer may go: memory, GeoPackage, second table, shapefile, the next step."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis_helpers import make_town, told, until

ALGORITHM = "snet4:extractfootprints"
FIELDS = [
    "footprint_id",
    "scene",
    "confidence",
    "area_m2",
    "off_nadir_deg",
    "azimuth_deg",
    "look",
    "look_source",
    "model",
]


@pytest.fixture(autouse=True)
def known_answer(engine_is: Any, stub: Any) -> None:
    """The engine that knows: bright is building."""
    engine_is(stub("plain"))


def run(qgis: Any, town: Path, output: Any, feedback: Any = None, **more: Any) -> dict[str, Any]:
    parameters = {"INPUT": str(town), "OFF_NADIR": 30, "OUTPUT": output, **more}
    return qgis.run(ALGORITHM, parameters, feedback=feedback or told())


def names(layer: QgsVectorLayer) -> list[str]:
    return [field.name() for field in layer.fields()]


def test_a_memory_layer(qgis: Any, town: Path) -> None:
    result = run(qgis, town, "memory:")
    layer = result["OUTPUT"]
    assert layer.dataProvider().name() == "memory"
    assert names(layer) == FIELDS
    assert layer.crs().authid() == "EPSG:32616"
    features = list(layer.getFeatures())
    assert [feature["footprint_id"] for feature in features] == [1, 2, 3]
    assert [feature["area_m2"] for feature in features] == pytest.approx([180] * 3, rel=0.01)
    assert all(feature.geometry().isGeosValid() for feature in features)
    assert result["COUNT"] == 3
    assert result["LOOK"].startswith("30 degrees off nadir")
    assert result["DEVICE"] == "cpu (stand-in, fp32)"


def test_a_new_geopackage_carries_its_style(qgis: Any, town: Path, tmp_path: Path) -> None:
    output = tmp_path / "new.gpkg"
    run(qgis, town, str(output))
    layer = QgsVectorLayer(f"{output}|layername=new", "new", "ogr")
    assert layer.featureCount() == 3
    assert names(layer) == ["fid", *FIELDS]
    # Opened by itself, without the algorithm, it has the bright line on its dark casing.
    assert layer.renderer().symbol().symbolLayerCount() == 2
    with closing(sqlite3.connect(output)) as database:
        rows = database.execute("SELECT f_table_name, useAsDefault FROM layer_styles").fetchall()
    assert rows == [("new", 1)]


def test_a_second_table_leaves_the_first_as_it_was(qgis: Any, town: Path, tmp_path: Path) -> None:
    output = tmp_path / "both.gpkg"
    run(qgis, town, str(output))
    run(qgis, town, f"ogr:dbname='{output}' table=\"second\" (geom)", MIN_AREA=1000)
    run(qgis, town, f"ogr:dbname='{output}' table=\"third\" (geom)")
    counts = {
        name: QgsVectorLayer(f"{output}|layername={name}", name, "ogr").featureCount()
        for name in ("both", "second", "third")
    }
    assert counts == {"both": 3, "second": 0, "third": 3}
    third = QgsVectorLayer(f"{output}|layername=third", "third", "ogr")
    assert third.renderer().symbol().symbolLayerCount() == 2


def test_a_result_replaces_an_old_one_without_a_question(
    qgis: Any, town: Path, tmp_path: Path
) -> None:
    output = tmp_path / "again.gpkg"
    for min_area, count in ((1000, 0), (0, 3)):
        run(qgis, town, str(output), MIN_AREA=min_area)
        layer = QgsVectorLayer(f"{output}|layername=again", "again", "ogr")
        assert layer.featureCount() == count
        del layer


def test_a_shapefile(qgis: Any, town: Path, tmp_path: Path) -> None:
    output = tmp_path / "old.shp"
    run(qgis, town, str(output))
    layer = QgsVectorLayer(str(output), "old", "ogr")
    assert layer.featureCount() == 3
    assert layer.crs().authid() == "EPSG:32616"
    assert names(layer) == [name[:10] for name in FIELDS]


@pytest.mark.parametrize("name", ["OUTPUT", "ROOFS", "SAVE_MAPS"])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/proc/found.{ending}", "choose a folder that you may write to"),
        ("{folder}/missing/found.{ending}", "there is no folder"),
        ("ogr:dbname='{folder}/missing/x.gpkg' table=\"a\" (geom)", "there is no folder"),
        ("{folder}/found.dxf", "A .dxf file holds no polygons with fields; name a .gpkg"),
        ("{folder}/found.gpx", "A .gpx file holds no polygons with fields; name a .gpkg"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    qgis: Any, town: Path, tmp_path: Path, name: str, place: str, says: str
) -> None:
    if name == "SAVE_MAPS" and "{ending}" not in place:
        return  # a raster has no tables, and its format is the engine's
    folder = tmp_path / "results"
    folder.mkdir()
    ending = "tif" if name == "SAVE_MAPS" else "gpkg"
    places = {"OUTPUT": "memory:", "SAVE_MAPS": str(folder / "maps.tif")}
    places[name] = place.format(folder=folder, ending=ending)
    feedback = told()
    with pytest.raises(QgsProcessingException, match=says):
        qgis.run(ALGORITHM, {"INPUT": str(town), "OFF_NADIR": 30, **places}, feedback=feedback)
    assert "Look: " not in feedback.text  # the engine was never asked
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["OUTPUT", "ROOFS", "SAVE_MAPS"])
@pytest.mark.parametrize("read", ["INPUT", "AOI"])
def test_no_result_takes_the_place_of_what_is_read(
    qgis: Any, town: Path, tmp_path: Path, name: str, read: str
) -> None:
    from osgeo import gdal

    path = tmp_path / "all.gpkg"
    options = {"bandList": [1, 2, 3], "outputType": gdal.GDT_Byte, "scaleParams": [[0, 1000]]}
    gdal.Translate(str(path), gdal.Open(str(town)), format="GPKG", **options)
    area = QgsVectorLayer("Polygon?crs=EPSG:32616", "area", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(740000, 3719910, 740090, 3720000)))
    area.dataProvider().addFeature(feature)
    into = QgsVectorFileWriter.SaveVectorOptions()
    into.layerName = "area"
    into.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
    transforms = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(area, str(path), transforms, into)
    before = path.read_bytes()
    inputs = {"INPUT": str(town), "AOI": f"{path}|layername=area"}
    if read == "INPUT":
        inputs = {"INPUT": str(path)}
    sentence = f"all.gpkg holds the layer .*, which the run reads; .* place for {name}"
    with pytest.raises(QgsProcessingException, match=sentence):
        run(qgis, town, **{"output": "memory:", **inputs, name: str(path)})
    assert path.read_bytes() == before
    if (name, read) == ("OUTPUT", "AOI"):
        with pytest.raises(QgsProcessingException, match=sentence):
            run(qgis, town, f"ogr:dbname='{path}' table=\"area\" (geom)", **inputs)
        beside = f"ogr:dbname='{path}' table=\"found\" (geom)"
        assert run(qgis, town, beside, **inputs)["COUNT"] == 3
        assert QgsVectorLayer(inputs["AOI"], "area", "ogr").featureCount() == 1


def test_a_step_of_a_model(qgis: Any, town: Path) -> None:
    model = QgsProcessingModelAlgorithm("houses", "test")
    model.addModelParameter(
        QgsProcessingParameterRasterLayer("PICTURE", "Picture"),
        QgsProcessingModelParameter("PICTURE"),
    )
    source = QgsProcessingModelChildParameterSource
    find = QgsProcessingModelChildAlgorithm(ALGORITHM)
    find.setChildId("find")
    find.addParameterSources("INPUT", [source.fromModelParameter("PICTURE")])
    find.addParameterSources("OFF_NADIR", [source.fromStaticValue(30)])
    model.addChildAlgorithm(find)
    points = QgsProcessingModelChildAlgorithm("native:centroids")
    points.setChildId("points")
    points.addParameterSources("INPUT", [source.fromChildOutput("find", "OUTPUT")])
    points.addParameterSources("ALL_PARTS", [source.fromStaticValue(False)])
    result = QgsProcessingModelOutput("CENTRES", "CENTRES")
    result.setChildId("points")
    result.setChildOutputName("OUTPUT")
    points.setModelOutputs({"CENTRES": result})
    model.addChildAlgorithm(points)
    model.initAlgorithm()
    assert model.validate() == (True, [])
    [centres_of] = [each.name() for each in model.destinationParameterDefinitions()]
    context, feedback = QgsProcessingContext(), told()
    context.setProject(QgsProject.instance())
    results, fine = model.run({"PICTURE": str(town), centres_of: "memory:"}, context, feedback)
    assert fine, feedback.text
    layer = context.takeResultLayer(results[centres_of])
    centres = sorted((f.geometry().asPoint().x(), f["footprint_id"]) for f in layer.getFeatures())
    assert [number for _, number in centres] == [3, 1, 2]


def test_a_batch_over_three_rasters(qgis: Any, tmp_path: Path) -> None:
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
    from qgis.core import QgsApplication
    from qgis.PyQt.QtWidgets import QMainWindow, QTextEdit

    window = QMainWindow()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    dialog = BatchAlgorithmDialog(algorithm, window)
    panel = dialog.mainWidget()
    while panel.batchRowCount() < 3:
        panel.addRow()
    outputs = []
    for number in range(3):
        picture = tmp_path / f"town{number}.tif"
        make_town(picture)
        outputs.append(tmp_path / f"found{number}.gpkg")
        wrappers = panel.wrappers[number]
        for name, value in (("INPUT", str(picture)), ("OFF_NADIR", 30)):
            column = panel.parameter_to_column[name]
            wrappers[column].setParameterValue(value, panel.processing_context)
        output_column = panel.parameter_to_column["OUTPUT"]
        panel.tblParameters.cellWidget(number + 1, output_column).setValue(str(outputs[number]))
    dialog.show()  # newer QGIS delete a hidden one when it is done
    dialog.runAlgorithm()
    until(dialog.runButton().isEnabled, 300)  # newer QGIS run it in the background
    log = dialog.findChild(QTextEdit, "txtLog").toPlainText()
    assert "failed" not in log
    assert log.count("correctly executed") == 3
    assert [path.exists() for path in outputs] == [True] * 3
    for number, path in enumerate(outputs):
        layer = QgsVectorLayer(str(path), path.stem, "ogr")
        assert layer.featureCount() == 3
        picture = tmp_path / f"town{number}.tif"
        # The equal command of a row has no argument that its user did not give.
        command = f"snet4 run {picture} -o {path} --off-nadir 30"
        assert layer.metadata().history()[2] == command
    dialog.close()


def test_names_may_hold_spaces_quotes_and_other_scripts(
    qgis: Any, town: Path, tmp_path: Path
) -> None:
    folder = tmp_path / 'Käthe\'s "scenes" 町'
    folder.mkdir()
    picture = folder / "a scene; $(touch x).tif"
    picture.write_bytes(town.read_bytes())
    feedback = told()
    result = run(qgis, picture, str(folder / "gefunden & mehr.gpkg"), feedback)
    assert result["COUNT"] == 3
    layer = QgsVectorLayer(str(folder / "gefunden & mehr.gpkg"), "found", "ogr")
    assert {feature["scene"] for feature in layer.getFeatures()} == {"a scene; $(touch x)"}
    [command] = [line for line in feedback.lines if line.startswith("snet4 run")]
    words = shlex.split(command)
    assert words[2:5] == [str(picture), "-o", str(folder / "gefunden & mehr.gpkg")]


def test_only_the_extent_is_searched(qgis: Any, town: Path) -> None:
    upper_left = QgsRectangle(740000, 3719970, 740045, 3720000)
    from qgis.core import QgsCoordinateReferenceSystem

    extent = QgsReferencedRectangle(upper_left, QgsCoordinateReferenceSystem("EPSG:32616"))
    assert run(qgis, town, "memory:", EXTENT=extent)["COUNT"] == 1


def test_nothing_found_comes_with_the_likely_reason(
    qgis: Any, town: Path, engine_is: Any, stub: Any
) -> None:
    engine_is(stub("dark"))
    feedback = told()
    result = run(qgis, town, "memory:", feedback)
    assert result["OUTPUT"].featureCount() == 0
    assert names(result["OUTPUT"]) == FIELDS
    assert "No footprints were found. The highest building probability was 0.39" in feedback.text


@pytest.mark.parametrize(
    ("looks", "seen_at", "option"),
    [
        (None, "", []),
        (0, "", []),
        (1, "", ["--tta", "1"]),
        (2, " at 0.7, 0.95, 1, 1.1", ["--tta", "0.7,0.95,1,1.1"]),
    ],
)
def test_the_looks_that_are_chosen_are_taken(
    qgis: Any, town: Path, looks: int | None, seen_at: str, option: list[str]
) -> None:
    feedback = told()
    chosen = {} if looks is None else {"LOOKS": looks}
    result = run(qgis, town, "memory:", feedback, **chosen)
    [command] = [line for line in feedback.lines if line.startswith("snet4 run")]
    words = shlex.split(command)
    assert result["DEVICE"] == f"cpu (stand-in{seen_at}, fp32)"
    assert words[words.index("--off-nadir") + 2 :] == option


def test_the_log_says_look_pixels_settings_time_and_command(qgis: Any, town: Path) -> None:
    feedback = told()
    run(qgis, town, "memory:", feedback, OFF_NADIR=60, AZIMUTH=200, REGULARIZE=True)
    assert "Look: 60° off nadir, azimuth 200°, read from your parameters." in feedback.text
    assert "Pixels: 0.50 m; the model was trained on 0.3 to 1 m." in feedback.text
    assert "threshold 0.5, at least 5 m², confidence 0 or more, simplified" in feedback.text
    assert "simplified within 0.5 m, right angles" in feedback.text
    assert f"snet4 run {town} -o footprints.gpkg --off-nadir 60 --azimuth 200" in feedback.text
    assert "outside the 0 to 55 that the model" in feedback.text
    assert feedback.percents == sorted(feedback.percents)


def test_what_cannot_be_read_without_a_file_is_said_at_once(qgis: Any) -> None:
    with pytest.raises(QgsProcessingException, match="INPUT"):
        run(qgis, Path("/nowhere/town.tif"), "memory:")


def test_cancelling_between_two_windows_raises(
    qgis: Any, town: Path, tmp_path: Path, engine_is: Any, stub: Any
) -> None:
    engine_is(stub("slow"))
    output = tmp_path / "never.gpkg"
    with pytest.raises(QgsProcessingException, match="Stopped on request"):
        run(qgis, town, str(output), told(cancel_at=10))
    assert not output.exists()
