"""Layers that are no plain file, or lie elsewhere than their file says; areas to search."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis_helpers import AWKWARD_FIELDS, make_town, told

ALGORITHM = "snet4:extractfootprints"


@pytest.fixture(autouse=True)
def known_answer(engine_is: Any, stub: Any) -> Any:
    engine_is(stub("plain"))
    before = {*Path(QgsProcessingUtils.tempFolder()).glob("snet4-*")}
    yield
    assert {*Path(QgsProcessingUtils.tempFolder()).glob("snet4-*")} == before
    QgsProject.instance().clear()


def found(qgis: Any, layer: Any, feedback: Any = None, **more: Any) -> tuple[list[str], Any]:
    """The footprints as text, in map units rounded to centimetres, and their layer."""
    parameters = {"INPUT": layer, "OFF_NADIR": 30, "OUTPUT": "memory:", **more}
    result = qgis.run(ALGORITHM, parameters, feedback=feedback or told())
    shapes = result["OUTPUT"]
    if isinstance(shapes, str):
        shapes = QgsVectorLayer(shapes, "found", "ogr")
    return sorted(each.geometry().asWkt(2) for each in shapes.getFeatures()), shapes


def check(layer: Any, **more: Any) -> str:
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    parameters = {"INPUT": layer, "OUTPUT": "memory:", **more}
    fine, sentence = algorithm.checkParameterValues(parameters, context)
    return "" if fine else sentence


def area(*boxes: tuple[float, float, float, float], crs: str = "EPSG:32616") -> QgsVectorLayer:
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "my area", "memory")
    for box in boxes:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(*box)))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    return layer


# --- The layer's CRS ---


@pytest.mark.parametrize("own", [None, 32617, 4326])
def test_the_layers_crs_is_used_in_place_of_the_files(
    qgis: Any, town: Path, tmp_path: Path, own: int | None
) -> None:
    expected, _ = found(qgis, str(town))
    path = tmp_path / "town.tif"
    make_town(path, crs=own)
    layer = QgsRasterLayer(str(path), "town")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32616"))
    feedback = told()
    got, shapes = found(qgis, layer, feedback)
    assert got == expected
    assert shapes.crs().authid() == "EPSG:32616"
    assert ("replaces the CRS EPSG" in feedback.text) == (own is not None)
    assert "--crs EPSG:32616" in feedback.text


def test_a_crs_that_only_qgis_knows_is_handed_over(qgis: Any, tmp_path: Path) -> None:
    path = tmp_path / "town.tif"
    make_town(path)
    layer = QgsRasterLayer(str(path), "town")
    custom = QgsCoordinateReferenceSystem.fromProj("+proj=tmerc +lon_0=-84 +k=0.9999 +x_0=740000")
    layer.setCrs(custom)
    got, shapes = found(qgis, layer)
    assert len(got) == 3
    assert "Transverse" in shapes.crs().toWkt()


def test_a_plain_layer_names_no_crs(qgis: Any, town: Path) -> None:
    feedback = told()
    found(qgis, QgsRasterLayer(str(town), "town"), feedback)
    assert "--crs" not in feedback.text


def test_an_extent_is_taken_in_the_layers_crs(qgis: Any, tmp_path: Path) -> None:
    path = tmp_path / "town.tif"
    make_town(path, crs=32617)
    layer = QgsRasterLayer(str(path), "town")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32616"))
    box = QgsRectangle(740010, 3719970, 740035, 3719995)  # around the first house
    degrees = QgsCoordinateTransform(
        layer.crs(), QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    ).transformBoundingBox(box)
    sides = (degrees.xMinimum(), degrees.xMaximum(), degrees.yMinimum(), degrees.yMaximum())
    text = ",".join(map(repr, sides)) + " [EPSG:4326]"
    got, _ = found(qgis, layer, EXTENT=text)
    assert len(got) == 1


# --- Areas ---


def test_polygons_of_a_layer_limit_the_search(qgis: Any, town: Path) -> None:
    everything, _ = found(qgis, str(town))
    box = (740010, 3719970, 740035, 3719995)
    feedback = told()
    got, _ = found(qgis, str(town), feedback, AOI=area(box))
    assert len(got) == 1
    assert got[0] in everything
    assert "--aoi 'my area.gpkg'" in feedback.text
    both, _ = found(qgis, str(town), AOI=area(box, (740045, 3719935, 740070, 3719960)))
    assert len(both) == 2
    with pytest.raises(QgsProcessingException, match="EXTENT and AOI have no ground in common"):
        found(qgis, str(town), AOI=area(box), EXTENT="740050,740060,3719900,3719950")


def test_an_area_that_cannot_be_used_is_refused_by_its_name(town: Path, qgis: Any) -> None:
    box = (740010, 3719970, 740035, 3719995)
    assert "The layer my area has no CRS; give it its own" in check(
        str(town), AOI=area(box, crs="")
    )
    assert "The layer my area has no polygons" in check(str(town), AOI=area())
    from qgis.core import QgsProcessingFeatureSourceDefinition

    layer = area(box)
    QgsProject.instance().addMapLayer(layer)
    selected = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    assert "or none of them is selected" in check(str(town), AOI=selected)
    assert check(str(town), AOI=layer) == ""


def test_polygons_may_be_in_degrees_and_only_some_selected(qgis: Any, town: Path) -> None:
    from qgis.core import QgsProcessingFeatureSourceDefinition

    boxes = ((740010, 3719970, 740035, 3719995), (740045, 3719935, 740070, 3719960))
    move = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32616"),
        QgsCoordinateReferenceSystem("EPSG:4326"),
        QgsProject.instance(),
    )
    degrees = [move.transformBoundingBox(QgsRectangle(*box)) for box in boxes]
    layer = area(
        *((d.xMinimum(), d.yMinimum(), d.xMaximum(), d.yMaximum()) for d in degrees),
        crs="EPSG:4326",
    )
    QgsProject.instance().addMapLayer(layer)
    assert len(found(qgis, str(town), AOI=layer)[0]) == 2
    layer.selectByIds([1])
    chosen = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    assert len(found(qgis, str(town), AOI=chosen)[0]) == 1


@pytest.mark.parametrize(("field", "values"), AWKWARD_FIELDS)
def test_polygons_may_have_fields_of_any_name(
    qgis: Any, town: Path, field: str, values: list[Any]
) -> None:
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32616&field={field}", "my area", "memory")
    boxes = ((740010, 3719970, 740035, 3719995), (740045, 3719935, 740070, 3719960))
    for box, value in zip(boxes, values, strict=True):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([value])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(*box)))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    assert len(found(qgis, str(town), AOI=layer)[0]) == 2


# --- Pictures that the engine does not read ---


def raster_in_geopackage(town: Path, path: Path) -> QgsRasterLayer:
    from osgeo import gdal

    source = gdal.Open(str(town))
    gdal.Translate(
        str(path), source, format="GPKG", bandList=[1, 2, 3], outputType=gdal.GDT_Byte,
        scaleParams=[[0, 1000, 0, 250]], creationOptions=["TILE_FORMAT=PNG", "RASTER_TABLE=town"],
    )  # fmt: skip
    return QgsRasterLayer(f"GPKG:{path}:town", "from a package")


def test_a_raster_in_a_geopackage_is_written_by_qgis(qgis: Any, town: Path, tmp_path: Path) -> None:
    from osgeo import gdal

    layer = raster_in_geopackage(town, tmp_path / "town.gpkg")
    assert layer.isValid()
    assert check(layer) == ""
    feedback = told()
    got, _ = found(qgis, layer, feedback)
    assert (
        "QGIS writes the layer from a package to a temporary GeoTIFF of 180 x 180" in feedback.text
    )
    same = tmp_path / "same.tif"
    gdal.Translate(str(same), gdal.Open(f"GPKG:{tmp_path / 'town.gpkg'}:town"))
    expected, _ = found(qgis, str(same))
    assert len(expected) == 3
    assert got == expected
    assert feedback.percents == sorted(feedback.percents)
    assert max(feedback.percents) > 50


def test_a_picture_in_an_archive_gives_the_features_of_the_file(
    qgis: Any, town: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "town.zip", "w") as archive:
        archive.write(town, "town.tif")
    layer = QgsRasterLayer(f"/vsizip/{tmp_path / 'town.zip'}/town.tif", "zipped")
    assert layer.isValid()
    expected, _ = found(qgis, str(town))
    assert found(qgis, layer)[0] == expected
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32617"))
    assert found(qgis, layer)[1].crs().authid() == "EPSG:32617"


def colours(*numbers: int) -> list[tuple[str, int]]:
    return [("", number) for number in numbers]


@pytest.mark.parametrize(
    "bands",
    [
        [(name, 0) for name in ("Red", "Green", "Blue", "NIR")],
        colours(5, 4, 3, 0),  # blue, green, red, and one that is called nothing
        colours(3, 4, 5, 6),  # red, green, blue, alpha
        colours(1, 1, 1, 1),
    ],
    ids=["named", "blue first", "alpha", "nothing"],
)
def test_a_picture_in_an_archive_keeps_the_names_of_its_bands(
    qgis: Any, town: Path, tmp_path: Path, bands: list[tuple[str, int]]
) -> None:
    from osgeo import gdal

    path = tmp_path / "town.tif"
    copy = gdal.GetDriverByName("GTiff").CreateCopy(
        str(path), gdal.Open(str(town)), options=["PHOTOMETRIC=MINISBLACK"]
    )
    for number, (name, colour) in enumerate(bands, 1):
        if name:
            copy.GetRasterBand(number).SetDescription(name)
        copy.GetRasterBand(number).SetColorInterpretation(colour)
    copy = None  # closes the file
    with zipfile.ZipFile(tmp_path / "town.zip", "w") as archive:
        for each in tmp_path.glob("town.tif*"):
            archive.write(each, each.name)
    said = []
    for layer in (str(path), QgsRasterLayer(f"/vsizip/{tmp_path / 'town.zip'}/town.tif", "zipped")):
        feedback = told()
        found(qgis, layer, feedback)
        told_of_bands = [line for line in feedback.lines if "blue" in line]
        said.append([re.sub(r"\S*\.tif", "the picture", line) for line in told_of_bands])
        assert "--bands" not in feedback.text
    assert said[0][0].startswith("Bands: blue = band ")
    assert said[0] == said[1]


def test_layers_are_named_and_no_temporary_files(qgis: Any, town: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "town.zip", "w") as archive:
        archive.write(town, "town.tif")
    layer = QgsRasterLayer(f"/vsizip/{tmp_path / 'town.zip'}/town.tif", "my town")
    inside = area((740010, 3719970, 740035, 3719995))
    output, temporary, feedback = tmp_path / "found.gpkg", QgsProcessingUtils.tempFolder(), told()
    found(qgis, layer, feedback, AOI=inside, OUTPUT=str(output))
    assert "my_town.tif does not say which band is which" in feedback.text
    assert temporary not in feedback.text
    [command] = [line for line in feedback.lines if line.startswith("snet4 run")]
    assert command.startswith(f"snet4 run my_town.tif -o {output} --off-nadir 30")
    assert command.endswith("--aoi 'my area.gpkg'")
    assert QgsVectorLayer(str(output), "found", "ogr").metadata().history()[2] == command
    with pytest.raises(QgsProcessingException, match=r"^my_town.tif does not tell how tilted"):
        found(qgis, layer, OFF_NADIR=None)


def test_bands_are_given_as_an_option_where_the_file_cannot_be_given_names(
    qgis: Any, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from osgeo import gdal
    from snet4 import bands

    path = tmp_path / "town.tif"
    copy = gdal.GetDriverByName("GTiff").CreateCopy(str(path), gdal.Open(str(town)))
    for number, (_, colour) in enumerate(colours(5, 4, 3, 0), 1):
        copy.GetRasterBand(number).SetColorInterpretation(colour)
    copy = None  # closes the file
    with zipfile.ZipFile(tmp_path / "town.zip", "w") as archive:
        for each in tmp_path.glob("town.tif*"):
            archive.write(each, each.name)
    monkeypatch.setattr(bands.gdal, "Open", lambda *_: None)
    feedback = told()
    found(qgis, QgsRasterLayer(f"/vsizip/{tmp_path / 'town.zip'}/town.tif", "z"), feedback)
    assert "--bands red=3,green=2,blue=1,nir=4" in feedback.text


def test_a_mosaic_gives_the_features_of_the_merged_file(
    qgis: Any, town: Path, tmp_path: Path
) -> None:
    from osgeo import gdal

    tiles = []
    for row in (0, 90):
        for col in (0, 90):
            tiles.append(str(tmp_path / f"{row}_{col}.tif"))
            gdal.Translate(tiles[-1], gdal.Open(str(town)), srcWin=[col, row, 90, 90])
    gdal.BuildVRT(str(tmp_path / "mosaic.vrt"), tiles).FlushCache()
    feedback = told()
    got, _ = found(qgis, str(tmp_path / "mosaic.vrt"), feedback)
    assert "temporary GeoTIFF" not in feedback.text
    assert got == found(qgis, str(town))[0]


@pytest.mark.parametrize("kind", ["elsewhere", "of a VRT", "warped", "computed", "bil"])
def test_what_the_engine_does_not_read_is_written_by_qgis(
    qgis: Any, town: Path, tmp_path: Path, kind: str
) -> None:
    from osgeo import gdal

    picture, path = tmp_path / "town.tif", tmp_path / "virtual.vrt"
    make_town(picture)
    if kind == "elsewhere":
        path = tmp_path / "below" / "virtual.vrt"
        path.parent.mkdir()
        gdal.BuildVRT(str(path), [str(picture)]).FlushCache()
    elif kind == "of a VRT":
        gdal.BuildVRT(str(tmp_path / "first.vrt"), [str(picture)]).FlushCache()
        gdal.BuildVRT(str(path), [str(tmp_path / "first.vrt")]).FlushCache()
    elif kind == "warped":
        gdal.Warp(str(path), str(picture), format="VRT", dstSRS="EPSG:32616").FlushCache()
    elif kind == "computed":
        gdal.Translate(str(path), str(picture), format="VRT", width=360, height=360).FlushCache()
    else:
        path = tmp_path / "raw.bil"
        gdal.Translate(str(path), str(picture), format="EHdr").FlushCache()
    feedback = told()
    got, _ = found(qgis, str(path), feedback)
    assert "to a temporary GeoTIFF" in feedback.text
    assert got == found(qgis, str(town))[0] or (kind == "computed" and len(got) == 3)


def test_an_envi_file_is_read_as_it_is(qgis: Any, town: Path, tmp_path: Path) -> None:
    from osgeo import gdal

    gdal.Translate(str(tmp_path / "raw.img"), str(town), format="ENVI").FlushCache()
    feedback = told()
    got, _ = found(qgis, str(tmp_path / "raw.img"), feedback)
    assert "temporary GeoTIFF" not in feedback.text
    assert got == found(qgis, str(town))[0]


@pytest.fixture
def tiles(town: Path, tmp_path: Path) -> QgsRasterLayer:
    """The town as a tile service, from files."""
    from osgeo import gdal, osr

    pyramid, zoom = tmp_path / "tiles", 18
    size_m = 2 * 20037508.342789244 / 2**zoom
    warped = gdal.Warp(
        "", gdal.Open(str(town)), format="MEM", dstSRS="EPSG:3857", xRes=size_m / 256,
        yRes=size_m / 256, resampleAlg="bilinear", dstNodata=0,
    )  # fmt: skip
    place, reach = warped.GetGeoTransform(), 20037508.342789244
    first = (int((place[0] + reach) // size_m), int((reach - place[3]) // size_m))
    for x in range(first[0], first[0] + 3):
        for y in range(first[1], first[1] + 3):
            box = [-reach + x * size_m, reach - y * size_m,
                   -reach + (x + 1) * size_m, reach - (y + 1) * size_m]  # fmt: skip
            part = gdal.Translate(
                "", warped, format="MEM", projWin=box, bandList=[1, 2, 3], width=256, height=256,
                outputType=gdal.GDT_Byte, scaleParams=[[0, 1000, 0, 250]],
            )  # fmt: skip
            (pyramid / str(zoom) / str(x)).mkdir(parents=True, exist_ok=True)
            gdal.GetDriverByName("PNG").CreateCopy(str(pyramid / f"{zoom}/{x}/{y}.png"), part)
    assert osr is not None
    url = f"file://{pyramid}/{{z}}/{{x}}/{{y}}.png"
    return QgsRasterLayer(
        f"crs=EPSG:3857&type=xyz&url={url}&zmax={zoom}&zmin=0", "town tiles", "wms"
    )


def test_the_tiles_of_a_service_are_written_at_the_models_pixel_size(
    qgis: Any, tiles: QgsRasterLayer
) -> None:
    assert tiles.isValid()
    feedback = told()
    box = "740000,740090,3719910,3720000 [EPSG:32616]"
    assert check(tiles, EXTENT=box) == ""
    got, shapes = found(qgis, tiles, feedback, EXTENT=box)
    assert len(got) == 3
    assert shapes.crs().authid() == "EPSG:3857"
    assert "Pixels: 0.50 m" in feedback.text
    assert "town_tiles.tif" in feedback.text
    inside, _ = found(qgis, tiles, AOI=area((740010, 3719970, 740035, 3719995)))
    assert len(inside) == 1


def test_what_qgis_cannot_write_is_refused_before_the_run(
    qgis: Any, tiles: QgsRasterLayer, town: Path, tmp_path: Path
) -> None:
    assert "comes from a service, which has no end; choose where to search" in check(tiles)
    whole = "-20000000,20000000,-10000000,10000000 [EPSG:3857]"
    assert "200 are the most; choose a smaller area" in check(tiles, EXTENT=whole)
    layer = raster_in_geopackage(town, tmp_path / "town.gpkg")
    elsewhere = "10,20,10,20 [EPSG:32616]"
    assert "lies outside the layer from a package" in check(layer, EXTENT=elsewhere)
    layer.setCrs(QgsCoordinateReferenceSystem())
    assert "has no CRS; give it its own in Layer > Set Layer CRS" in check(layer)


def test_a_write_that_is_cancelled_ends_and_leaves_nothing(
    qgis: Any, tiles: QgsRasterLayer
) -> None:
    feedback = told(cancel_at=1)
    with pytest.raises(QgsProcessingException, match="Stopped on request"):
        found(qgis, tiles, feedback, EXTENT="740000,740090,3719910,3720000 [EPSG:32616]")
    assert "QGIS writes the layer" in feedback.text
    assert "Look: " not in feedback.text  # the engine was never asked for the footprints
