"""The look on the map: the arrow in any CRS and rotation, and the tool that reads a building."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QPoint
from qgis.PyQt.QtGui import QColor
from qgis_helpers import ROOT, engine, make_window

UTM, MERCATOR = "EPSG:32616", "EPSG:3857"
LOOKS = [(20, 286), (45, 70), (32, 200)]
"""Off-nadir angle and azimuth, degrees."""


@pytest.fixture
def tools(qgis: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    from snet4 import offers
    from snet4 import tools as module
    from snet4.tools import Tools

    monkeypatch.setattr(module.QInputDialog, "getDouble", lambda *_: (40.0, True))

    window = make_window()
    held = Tools(window)
    held.window = window
    yield held
    held.remove()
    offers.forget()
    QgsSettings().remove("snet4/look_arrow")
    QgsProject.instance().clear()


def test_what_the_tools_add_goes_with_them(qgis: Any) -> None:
    from snet4.tools import Tools

    window = make_window()
    before = len(window.canvas.scene().items()), len(window.children())
    held = Tools(window)
    held.arrow_action.setChecked(True)
    held.canvas.setMapTool(held.tool)
    assert len(window.canvas.scene().items()) == before[0] + 2  # the arrow, and the tool's line
    held.remove()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert (len(window.canvas.scene().items()), len(window.children())) == before
    assert window.canvas.mapTool() is not held.tool
    assert sip.isdeleted(held.tool)
    assert sip.isdeleted(held.menu)
    QgsSettings().remove("snet4/look_arrow")


def footprints(off_nadir_deg: Any, azimuth_deg: Any) -> QgsVectorLayer:
    fields = "field=off_nadir_deg:double&field=azimuth_deg:double&field=look_source:string"
    layer = QgsVectorLayer(f"Polygon?crs={UTM}&{fields}", "found", "memory")
    feature = QgsFeature(layer.fields())
    feature.setAttributes([off_nadir_deg, azimuth_deg, "metadata"])
    layer.dataProvider().addFeatures([feature])
    return layer


def look_at(canvas: Any, crs: str, rotation_deg: float) -> None:
    """120 m around a place in Atlanta, where grid north of the zone is 1.5 degrees off."""
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
    x, y, half = (733800, 3725000, 60) if crs == UTM else (-9397000, 3982000, 60)
    canvas.setRotation(rotation_deg)
    canvas.setExtent(QgsRectangle(x - half, y - half, x + half, y + half))


def screen_azimuth_deg(way: Any) -> float:
    """Clockwise from up; y runs down."""
    return math.degrees(math.atan2(way.x(), -way.y())) % 360


def turned(one_deg: float, other_deg: float) -> float:
    return (one_deg - other_deg + 180) % 360 - 180


@pytest.mark.parametrize("rotation_deg", [0.0, 30.0, 200.0])
@pytest.mark.parametrize(("crs", "convergence_deg"), [(UTM, 1.40), (MERCATOR, 0.0)])
@pytest.mark.parametrize("azimuth_deg", [0.0, 45.0, 265.0])
def test_the_arrow_points_to_the_azimuth_on_the_screen(
    azimuth_deg: float, crs: str, convergence_deg: float, rotation_deg: float, tools: Any
) -> None:
    from snet4 import lean

    look_at(tools.canvas, crs, rotation_deg)
    way = tools.arrow.on_screen(lean.lean(45, azimuth_deg, 100))
    # Grid north lies east of true north there; a canvas turns clockwise by its rotation.
    expected_deg = azimuth_deg - convergence_deg + rotation_deg
    assert abs(turned(screen_azimuth_deg(way), expected_deg)) < 0.2


@pytest.mark.parametrize("rotation_deg", [0.0, 75.0])
def test_the_arrow_is_to_scale(rotation_deg: float, tools: Any) -> None:
    from snet4 import lean

    look_at(tools.canvas, UTM, rotation_deg)
    way = tools.arrow.on_screen(lean.lean(45, 70, 10))
    metres = math.hypot(way.x(), way.y()) * tools.canvas.mapUnitsPerPixel()
    assert metres == pytest.approx(10, rel=0.002)  # UTM's own scale there is 1.0003


@pytest.fixture(scope="module")
def roofs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One roof, 10 m above its ground, rendered from above and at three looks."""
    folder = tmp_path_factory.mktemp("roofs")
    looks = ("0:0", *(f"{angle}:{azimuth}" for angle, azimuth in LOOKS))
    engine(str(ROOT / "tests" / "helpers" / "lone_roof.py"), str(folder), *looks)
    return folder


def seen_at(picture: Path, canvas: Any) -> tuple[float, float]:
    """Middle of what is white on the map, in pixels right and down."""
    layer = QgsRasterLayer(str(picture), "roof")
    assert layer.isValid()
    canvas.setLayers([layer])
    canvas.refresh()
    canvas.waitWhileRendering()
    image = canvas.grab().toImage()
    white = [
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).green() > 127
    ]
    assert len(white) > 1000
    canvas.setLayers([])
    return tuple(sum(axis) / len(white) for axis in zip(*white, strict=True))


@pytest.mark.parametrize("rotation_deg", [0.0, 60.0])
@pytest.mark.parametrize(("angle", "azimuth"), LOOKS)
def test_the_arrow_ends_where_a_rendered_roof_is_seen(
    angle: int, azimuth: int, rotation_deg: float, roofs: Path, tools: Any
) -> None:
    """The red line, from foot to roof, is as long as the way of a rendered roof of 10 m, and leads
    as that: towards the azimuth."""
    from snet4 import lean

    tools.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(UTM))
    tools.canvas.setCanvasColor(QColor("black"))
    tools.canvas.setRotation(rotation_deg)
    tools.canvas.setExtent(QgsRectangle(733780, 3724980, 733820, 3725020))
    foot = seen_at(roofs / "0_0.tif", tools.canvas)
    roof = seen_at(roofs / f"{angle}_{azimuth}.tif", tools.canvas)
    drawn = tools.arrow.on_screen(lean.lean(angle, azimuth))
    apart_px = math.hypot(roof[0] - foot[0] - drawn.x(), roof[1] - foot[1] - drawn.y())
    # The renderer goes by cells of 0.25 m, and by grid north, 1.4 degrees from true north here.
    seen_px = math.hypot(roof[0] - foot[0], roof[1] - foot[1])
    print(f"{math.hypot(drawn.x(), drawn.y()):.1f} px drawn, {seen_px:.1f} px seen, {apart_px:.1f}")
    assert apart_px * tools.canvas.mapUnitsPerPixel() < 0.4


@pytest.mark.parametrize("rotation_deg", [0.0, 140.0])
@pytest.mark.parametrize("crs", [UTM, MERCATOR])
def test_what_the_arrow_draws_the_tool_reads(crs: str, rotation_deg: float, tools: Any) -> None:
    """From the arrow's pixels back to the look, through a drag on the canvas."""
    from snet4 import lean, offers

    look_at(tools.canvas, crs, rotation_deg)
    way = tools.arrow.on_screen(lean.lean(35, 160, 40))
    middle = QPoint(300, 200)
    found: list[Any] = []
    tools.tool.drawn.connect(found.append)
    drag(tools, middle + QPoint(round(way.x()), round(way.y())), middle)
    assert found[0].azimuth_deg == pytest.approx(160, abs=0.6)
    assert lean.off_nadir_of(found[0], 40) == pytest.approx(35, abs=0.4)
    # The height, which the user types, is 40 m here.
    assert offers.offers()[0].values["OFF_NADIR"] == pytest.approx(35, abs=0.4)


class Event:
    """As much of QGIS's mouse event as the tool reads."""

    def __init__(self, canvas: Any, pixel: QPoint) -> None:
        self._point = canvas.getCoordinateTransform().toMapCoordinates(pixel)
        self._pixel = pixel

    def mapPoint(self) -> QgsPointXY:
        return self._point

    def pixelPoint(self) -> QPoint:
        return self._pixel


def drag(tools: Any, start: QPoint, end: QPoint) -> None:
    tools.tool.canvasPressEvent(Event(tools.canvas, start))
    tools.tool.canvasMoveEvent(Event(tools.canvas, end))
    tools.tool.canvasReleaseEvent(Event(tools.canvas, end))


def test_a_click_without_a_drag_says_what_to_do(tools: Any) -> None:
    look_at(tools.canvas, UTM, 0)
    drag(tools, QPoint(10, 10), QPoint(11, 12))
    assert "drag to its foot" in tools.window.bar.items()[0].text()


def test_a_look_that_was_drawn_is_offered_to_the_next_run(tools: Any) -> None:
    from snet4 import lean, offers

    tools.take_look(lean.lean(32, 140, 12), 0)
    assert offers.offers()[0].values == {"AZIMUTH": 140.0}
    tools.take_look(lean.lean(32, 140, 12), 12)
    [offer] = offers.offers()
    assert offer.values == {"AZIMUTH": 140.0, "OFF_NADIR": 32.0}
    assert "azimuth 140°, 32° off nadir" in offer.sentence


@pytest.mark.parametrize(
    ("angle", "azimuth", "known"), [(30.0, 120.0, True), (30.0, None, False), (None, None, False)]
)
def test_the_look_of_a_layer_is_in_its_fields(
    angle: Any, azimuth: Any, known: bool, tools: Any
) -> None:
    from snet4.looks import look_of

    found = look_of(footprints(angle, azimuth))
    assert (found == (30.0, 120.0, "metadata")) is known


def shade(image: Any, x: float, y: float) -> str:
    colour = image.pixelColor(round(x), round(y))
    if colour.red() > 180 and colour.green() < 90:
        return "red"
    return "pale" if min(colour.red(), colour.green(), colour.blue()) > 200 else "other"


@pytest.mark.parametrize("rotation_deg", [0.0, 90.0])
def test_the_arrow_is_drawn_when_it_is_wanted(rotation_deg: float, tools: Any) -> None:
    look_at(tools.canvas, UTM, rotation_deg)
    tools.canvas.setCanvasColor(QColor("white"))
    tools.window.active = footprints(45.0, 180.0)
    tools.window.currentLayerChanged.emit(tools.window.active)
    assert not tools.arrow.isVisible()
    tools.arrow_action.setChecked(True)
    assert tools.arrow.isVisible()
    QCoreApplication.processEvents()
    image = tools.canvas.grab().toImage()
    # 10 m at 120 m for 400 px are 33 px, and red: south, which a turn of 90 degrees takes west.
    x, y = tools.arrow._middle().x(), tools.arrow._middle().y()
    south = (0, 1) if rotation_deg == 0 else (-1, 0)
    for step_px in (10, 20, 26):
        assert shade(image, x + south[0] * step_px, y + south[1] * step_px) == "red", step_px
        assert shade(image, x - south[0] * step_px, y - south[1] * step_px) != "red", step_px
    tools.window.active = None
    tools.window.currentLayerChanged.emit(None)
    assert not tools.arrow.isVisible()


def test_the_arrow_appears_as_soon_as_the_look_of_a_picture_is_known(
    tools: Any, town: Path
) -> None:
    from snet4 import looks

    picture = QgsRasterLayer(str(town), "town")
    tools.window.active = picture
    tools.arrow_action.setChecked(True)
    assert not tools.arrow.isVisible()
    looks.note(str(town), {"off_nadir_deg": 30, "azimuth_deg": 120, "source": "metadata"})
    assert tools.arrow.isVisible()
