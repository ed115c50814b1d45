"""Scoring: layers with any fields, in memory or in files, and SpaceNet tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QUrl
from qgis_helpers import AWKWARD_FIELDS

ALGORITHM = "snet4:scorefootprints"


@pytest.fixture(autouse=True)
def known_answer(engine_is: Any, stub: Any) -> None:
    engine_is(stub("plain"))


def score(qgis: Any, proposals: Any, truth: Any) -> tuple[int, int, int]:
    """(right, wrong, missed)."""
    result = qgis.run(ALGORITHM, {"PROPOSALS": proposals, "TRUTH": truth})
    return result["TP"], result["FP"], result["FN"]


def boxes(fields: str = "", rows: Any = ((),), shift_m: float = 0.0) -> QgsVectorLayer:
    """Houses of 10 m in a row, one for each row of values."""
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32616{fields}", "boxes", "memory")
    for number, values in enumerate(rows):
        feature = QgsFeature(layer.fields())
        feature.setAttributes(list(values))
        left = 740000 + 20 * number + shift_m
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 3720000, left + 10, 3720010)))
        layer.dataProvider().addFeature(feature)
    return layer


def test_the_memory_layers_of_a_score_are_handed_over(qgis: Any) -> None:
    assert score(qgis, boxes(), boxes(shift_m=1)) == (1, 0, 0)
    assert score(qgis, boxes(), boxes(shift_m=6)) == (0, 1, 1)


@pytest.mark.parametrize(("field", "values"), AWKWARD_FIELDS)
def test_layers_may_have_fields_of_any_name(qgis: Any, field: str, values: list[Any]) -> None:
    layer = boxes(f"&field={field}", [[value] for value in values])
    assert score(qgis, layer, layer) == (2, 0, 0)


def test_confidence_and_heights_are_read(qgis: Any) -> None:
    fields = "&field=name:string&field=Confidence:double&field=height_m:double"
    found = boxes(fields, [["a", 0.2, 10.0]])
    better = next(iter(boxes(fields, [["b", 0.9, 12.0]], shift_m=1).getFeatures()))
    found.dataProvider().addFeature(better)
    truth = boxes("&field=height_m:double", [[15.0]])
    result = qgis.run(ALGORITHM, {"PROPOSALS": found, "TRUTH": truth})
    assert (result["TP"], result["FP"], result["FN"]) == (1, 1, 0)
    assert result["HEIGHT_ERROR"] == 3.0  # of the surer one, which chooses first


def test_a_layer_that_cannot_be_scored_is_called_by_its_name(qgis: Any) -> None:
    fields = "&field=confidence:string"
    with pytest.raises(QgsProcessingException, match=r"^boxes, feature 1: the confidence 'high' "):
        score(qgis, boxes(fields, [["high"]]), boxes())


# --- Tables ---

SPACENET = (
    "ImageId,BuildingId,PolygonWKT_Pix,Confidence\n"
    'one,0,"POLYGON((0 0,10 0,10 10,0 10,0 0))",1\n'
    'one,1,"POLYGON((20 20,30 20,30 30,20 30,20 20))",1\n'
    "two,-1,POLYGON EMPTY,1\n"
)


def text_layer(path: Path, content: str, options: str = "&geomType=none") -> QgsVectorLayer:
    """As *Layer > Add Delimited Text Layer* opens it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    address = QUrl.fromLocalFile(str(path)).toEncoded().data().decode()
    layer = QgsVectorLayer(f"{address}?type=csv{options}", "table", "delimitedtext")
    assert layer.isValid()
    return layer


@pytest.mark.parametrize("name", ["plain/t.csv", "sp ace/t.csv", "Häuser/ü#1.csv"])
@pytest.mark.parametrize("options", ["&geomType=none", "&wktField=PolygonWKT_Pix"])
def test_a_spacenet_table_may_lie_anywhere(
    qgis: Any, tmp_path: Path, name: str, options: str
) -> None:
    layer = text_layer(tmp_path / name, SPACENET, options)
    assert score(qgis, layer, layer) == (2, 0, 0)
    assert score(qgis, str(tmp_path / name), layer) == (2, 0, 0)


@pytest.mark.parametrize("options", ["&geomType=none", "&wktField=PolygonWKT_Pix"])
def test_the_filter_of_a_table_counts(qgis: Any, tmp_path: Path, options: str) -> None:
    truth = text_layer(tmp_path / "t.csv", SPACENET, options)
    found = text_layer(tmp_path / "p.csv", SPACENET, options)
    found.setSubsetString('"BuildingId" <> 1')
    assert score(qgis, found, truth) == (1, 0, 1)


def test_a_text_file_of_polygons_on_the_ground_is_a_layer(qgis: Any, tmp_path: Path) -> None:
    wkt = boxes().getFeature(1).geometry().asWkt()
    content = f'name,outline\na,"{wkt}"\n'
    options = "&wktField=outline&geomType=Polygon&crs=EPSG:32616"
    assert score(qgis, text_layer(tmp_path / "p.csv", content, options), boxes()) == (1, 0, 0)
