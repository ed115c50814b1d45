"""Where a look stands: the order of the sources, and that none is made up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snet4core.errors import InputError, LookError
from snet4core.look.look import category_of
from snet4core.look.names import SPACENET4, sighting_in_name
from snet4core.look.orbits import off_nadir_of_incidence
from snet4core.look.sources import LookFound, find_look
from snet4core.look.stac import sighting_in_stac
from snet4core.look.table import sighting_in_table
from snet4core.scene.inputs import SceneInput
from snet4core.scene.scene import open_scene

Picture = Callable[..., Path]
ONE_PIXEL = np.full((3, 4, 4), 9, dtype=np.uint8)

IMD = """version = "28.4";
BEGIN_GROUP = BAND_B
\tabsCalFactor = 1.260825e-02;
END_GROUP = BAND_B
BEGIN_GROUP = IMAGE_1
\tmeanSunAz = 150.2;
\tmeanSatAz = 201.5;
\tmeanSatEl = 57.1;
\tmeanOffNadirViewAngle = 29.1;
END_GROUP = IMAGE_1
END;
"""

MAXAR_XML = """<?xml version="1.0" encoding="UTF-8"?>
<isd><IMD><IMAGE><SATID>WV02</SATID><MEANSATAZ>2.00E+02</MEANSATAZ>
<MEANOFFNADIRVIEWANGLE>3.19E+01</MEANOFFNADIRVIEWANGLE></IMAGE></IMD></isd>
"""

DIM_XML = """<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document><Dataset_Sources><MISSION>PHR</MISSION></Dataset_Sources>
<Geometric_Data><Use_Area>
<Located_Geometric_Values><LOCATION_TYPE>Top Center</LOCATION_TYPE><Acquisition_Angles>
<AZIMUTH_ANGLE unit="deg">180</AZIMUTH_ANGLE>{top}</Acquisition_Angles></Located_Geometric_Values>
<Located_Geometric_Values><LOCATION_TYPE>Center</LOCATION_TYPE><Acquisition_Angles>
<AZIMUTH_ANGLE unit="deg">180</AZIMUTH_ANGLE>{centre}</Acquisition_Angles>
</Located_Geometric_Values></Use_Area></Geometric_Data></Dimap_Document>
"""


@pytest.fixture
def look(picture: Picture) -> Callable[..., LookFound]:
    """Find the look of a scene of that name, with files put beside it."""

    def find(
        name: str = "scene.tif", beside: dict[str, str] | None = None, **how: object
    ) -> LookFound:
        path = picture(ONE_PIXEL, name, photometric="RGB", tags=how.pop("tags", {}))
        for other, text in (beside or {}).items():
            path.with_name(other).write_text(text, encoding="utf-8")
        return find_look(open_scene(path), **how)

    return find


def stac(off_nadir: object = 33.0, azimuth: object = 40.0) -> str:
    properties = {"view:off_nadir": off_nadir, "view:azimuth": azimuth}
    return json.dumps({"type": "Feature", "properties": properties, "assets": {}})


# --- Order ---


def test_sources_give_way_in_the_stated_order(
    look: Callable[..., LookFound], tmp_path: Path
) -> None:
    table = tmp_path / "looks.csv"
    table.write_text("scene,off_nadir_deg,azimuth_deg\nnadir10.tif,11,21\n")
    all_of_them = {
        "beside": {"nadir10.json": stac(12.0, 22.0), "nadir10.IMD": IMD.replace("29.1", "10.5")},
    }
    got = [
        look("nadir10.tif", **all_of_them, off_nadir_deg=9.5, azimuth_deg=20.0, table=table),
        look("nadir10.tif", **all_of_them, table=table),
        look("nadir10.tif", **all_of_them),
    ]
    (folder,) = [p for p in tmp_path.iterdir() if p.name == "nadir10.json"]
    folder.unlink()
    got.append(look("nadir10.tif", {"nadir10.IMD": IMD.replace("29.1", "10.5")}))
    (tmp_path / "nadir10.IMD").unlink()
    got.append(look("nadir10.tif"))
    assert [(f.look.source, f.look.off_nadir_deg, f.look.azimuth_deg) for f in got] == [
        ("option", 9.5, 20.0),
        ("table", 11.0, 21.0),
        ("stac", 12.0, 22.0),
        ("metadata", 10.5, 21.5),
        ("name", 10.0, None),
    ]


def test_no_source_at_all_asks_for_the_option(look: Callable[..., LookFound]) -> None:
    with pytest.raises(LookError, match=r"scene.tif does not tell .* --off-nadir"):
        look()


def test_the_angle_alone_is_enough(look: Callable[..., LookFound]) -> None:
    assert look(off_nadir_deg=31.0).look.azimuth_deg is None


def test_the_azimuth_option_completes_another_source(look: Callable[..., LookFound]) -> None:
    found = look("nadir29.tif", azimuth_deg=77.0)
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (29.0, 77.0)
    assert found.look.source == "name"


def test_an_azimuth_is_not_taken_from_a_source_that_is_wrong_about_the_angle(
    look: Callable[..., LookFound],
) -> None:
    found = look(beside={"scene.IMD": IMD}, off_nadir_deg=45.0)
    assert found.look.azimuth_deg is None
    (warning,) = found.warnings
    assert "45 degrees" in warning
    assert "29.1" in warning


def test_disagreement_is_said_with_both_numbers(look: Callable[..., LookFound]) -> None:
    (warning,) = look("nadir20.tif", {"nadir20.IMD": IMD}).warnings
    assert "29.1" in warning
    assert "20" in warning
    assert look("nadir28.tif", {"nadir28.IMD": IMD}).warnings == ()
    (warning,) = look(beside={"scene.IMD": IMD}, off_nadir_deg=29.0, azimuth_deg=200.0).warnings
    assert "200" in warning
    assert "21.5" in warning


@pytest.mark.parametrize("angle", [-5.0, 99.0, math.nan, math.inf])
def test_an_impossible_option_is_refused(look: Callable[..., LookFound], angle: float) -> None:
    with pytest.raises(LookError, match="--off-nadir"):
        look("nadir10.tif", off_nadir_deg=angle)


# --- Vendors ---


def test_maxar_azimuth_is_turned_towards_the_ground(look: Callable[..., LookFound]) -> None:
    found = look(beside={"scene.IMD": IMD})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (29.1, 21.5)
    found = look(beside={"scene.IMD": "", "scene.XML": MAXAR_XML})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (31.9, 20.0)


def test_one_vendor_file_serves_all_tiles_of_a_product(look: Callable[..., LookFound]) -> None:
    assert look("P001_R1C2.tif", {"P001.IMD": IMD}).look.off_nadir_deg == 29.1
    dim = DIM_XML.format(top="", centre="<VIEWING_ANGLE>17.5</VIEWING_ANGLE>")
    assert look("IMG_PHR1A_R2C1.tif", {"DIM_PHR1A.XML": dim}).look.off_nadir_deg == 17.5


def test_airbus_centre_counts_and_its_scan_direction_is_no_azimuth(
    look: Callable[..., LookFound],
) -> None:
    dim = DIM_XML.format(
        top="<VIEWING_ANGLE>12.0</VIEWING_ANGLE>", centre="<VIEWING_ANGLE>-12.5</VIEWING_ANGLE>"
    )
    found = look("IMG_a.tif", {"DIM_a.XML": dim})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (12.5, None)


def test_airbus_incidence_becomes_off_nadir(look: Callable[..., LookFound]) -> None:
    dim = DIM_XML.format(top="", centre="<INCIDENCE_ANGLE>30</INCIDENCE_ANGLE>")
    assert look("IMG_a.tif", {"DIM_a.XML": dim}).look.off_nadir_deg == pytest.approx(26.8, abs=0.01)


@given(st.floats(0, 80), st.floats(200, 900))
def test_off_nadir_is_the_smaller_angle(incidence_deg: float, height_km: float) -> None:
    assert 0 <= off_nadir_of_incidence(incidence_deg, height_km) <= incidence_deg


def test_tags_in_the_raster_itself_are_read(look: Callable[..., LookFound]) -> None:
    found = look(tags={"IMAGE_1.meanOffNadirViewAngle": "29.1", "IMAGE_1.meanSatAz": "201.5"})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (29.1, 21.5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scene.XML", "<isd><IMD>"),
        ("scene.XML", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        ("scene.XML", "<a>" * 100 + "</a>" * 100),
        ("scene.XML", ""),
        ("scene.IMD", "meanOffNadirViewAngle = 29.1;\0"),
    ],
    ids=["cut", "entities", "deep", "empty", "NUL"],
)
def test_a_damaged_sidecar_is_warned_of_and_not_believed(
    look: Callable[..., LookFound], name: str, text: str
) -> None:
    found = look(beside={name: text}, off_nadir_deg=10.0)
    assert found.look.off_nadir_deg == 10.0
    assert name in "".join(found.warnings)


@pytest.mark.parametrize("text", ["{}", "[1]", "no json", '{"assets": {}}', stac("steep", True)])
def test_other_json_beside_the_scene_says_nothing(
    look: Callable[..., LookFound], text: str
) -> None:
    found = look("nadir12.tif", {"nadir12.json": text})
    assert (found.look.source, found.warnings) == ("name", ())


def test_a_stac_item_that_names_the_scene_gives_its_look(picture: Picture, tmp_path: Path) -> None:
    item = tmp_path / "item.json"
    item.write_text(stac())
    scene = open_scene(SceneInput(str(picture(ONE_PIXEL, photometric="RGB")), item))
    assert find_look(scene).look.off_nadir_deg == 33.0
    assert sighting_in_stac(item).azimuth_deg == 40.0


# --- Names ---


@given(st.sampled_from(sorted(SPACENET4)))
def test_the_true_angle_never_changes_the_category_of_the_name(catalogue_id: str) -> None:
    collect = SPACENET4[catalogue_id]
    named_deg, off_nadir_deg = collect.named_deg, collect.off_nadir_deg
    assert category_of(named_deg) == category_of(off_nadir_deg)


@given(st.sampled_from(sorted(SPACENET4)), st.integers(700000, 799999), st.integers(0, 9999999))
def test_tile_coordinates_are_no_angle(catalogue_id: str, x: int, y: int) -> None:
    """A bug seen elsewhere: the angle parsed from the tile's y coordinate."""
    collect = SPACENET4[catalogue_id]
    named_deg = collect.named_deg
    off_nadir_deg, azimuth_deg = collect.off_nadir_deg, collect.azimuth_deg
    name = f"Pan-Sharpen_Atlanta_nadir{named_deg}_catid_{catalogue_id}_{x}_{y}.tif"
    found = sighting_in_name(name)
    assert found is not None
    assert (found.off_nadir_deg, found.azimuth_deg) == (off_nadir_deg, azimuth_deg)


def test_collects_are_as_published() -> None:
    assert len(SPACENET4) == 27
    south = [one for one in SPACENET4.values() if 90 < one.azimuth_deg < 270]
    assert len(south) == 8
    assert sum(category_of(one.off_nadir_deg) == "nadir" for one in SPACENET4.values()) == 11
    assert sum(category_of(one.off_nadir_deg) == "off-nadir" for one in SPACENET4.values()) == 7


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nadir29.tif", 29), ("a_nadir7_b.tif", 7), ("NADIR_40.TIF", 40), ("offnadir53.tif", 53),
        ("off-nadir-31.5.tif", 31.5), ("nadir25_catid_unknown_1_2.tif", 25),
        ("nadir743501.tif", None), ("nadir.tif", None), ("monadir30.tif", None),
        ("nadir_743501_3728739.tif", None), ("29.tif", None),
        ("Atlanta_nadir32_catid_103001000392F600/PAN/tile_1.tif", 32.5),
        ("nadir40_set/nadir10.tif", 10),
        ("nadir46_catid_103001000307D800_1_2.tif", 46),
    ],
)  # fmt: skip
def test_angles_in_names(name: str, expected: float | None) -> None:
    found = sighting_in_name(name)
    assert (found.off_nadir_deg if found else None) == expected


def test_two_angles_in_one_name_are_none(look: Callable[..., LookFound]) -> None:
    with pytest.raises(LookError, match="more than one look angle"):
        look("nadir10_nadir29.tif")
    assert look("nadir10_nadir29.tif", off_nadir_deg=10.0).look.off_nadir_deg == 10.0


# --- Tables ---


@pytest.mark.parametrize(
    "text",
    [
        "scene,off_nadir_deg,azimuth_deg\nscene.tif,31.5,24\n",
        "\ufeffname,off_nadir,azimuth\r\nscene,31.5,24\r\n",
        'file,note,off_nadir_deg,azimuth_deg\n"scene.tif","a, b",31.5,24\n\n',
        "azimuth_deg,off_nadir_deg,SCENE\n-336,-31.5,SCENE.TIF",
    ],
    ids=["plain", "BOM and CRLF", "quoted", "other order"],
)
def test_tables_of_several_makes(tmp_path: Path, text: str) -> None:
    table = tmp_path / "looks.csv"
    table.write_text(text, encoding="utf-8", newline="")
    found = sighting_in_table(table, "/somewhere/scene.tif")
    assert found is not None
    assert (found.off_nadir_deg, found.azimuth_deg) == (31.5, 24.0)


def test_a_table_may_name_collects(tmp_path: Path) -> None:
    table = tmp_path / "looks.csv"
    table.write_text("catalogue_id,off_nadir_deg\n103001000392f600,32.5\nSYNTH7,7.5\n")
    for location, angle in (
        ("x_catid_103001000392F600_1_2.tif", 32.5), ("nadir7_catid_SYNTH7/PAN/a_1_2.tif", 7.5)
    ):  # fmt: skip
        found = sighting_in_table(table, location)
        assert found is not None
        assert (found.off_nadir_deg, found.azimuth_deg) == (angle, None)
    assert sighting_in_table(table, "other.tif") is None


def test_a_table_without_the_scene_is_said_so(
    look: Callable[..., LookFound], tmp_path: Path
) -> None:
    table = tmp_path / "looks.csv"
    table.write_text("scene,off_nadir_deg\nother,12\n")
    (warning,) = look("nadir8.tif", table=table).warnings
    assert "looks.csv does not mention" in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ("scene\nscene.tif\n", "line 1: has no column off_nadir_deg"),
        ("scene,name,off_nadir_deg\n", "more than one column"),
        ("scene,off_nadir_deg\nscene.tif,steep\n", "line 2: 'steep' is no angle"),
        ("scene,off_nadir_deg\na,1\nscene.tif,99\n", "line 3"),
        ("scene,off_nadir_deg\nscene.tif,nan\n", "line 2"),
        ("scene,off_nadir_deg\nscene.tif,\n", "line 2: has no off-nadir angle"),
        ("scene,off_nadir_deg\nscene.tif,31,5\n", "decimal point"),
        ("scene,off_nadir_deg,azimuth_deg\nscene.tif,31,north\n", "line 2: 'north'"),
        ("scene,off_nadir_deg\nscene.tif,1\nscene,2\n", "line 3: gives another look"),
        ('scene,off_nadir_deg\n"scene.tif,1\n', "no CSV"),
        ("scene,off_nadir_deg\nscene\0.tif,1\n", "NUL"),
    ],
)
def test_bad_tables_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "looks.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message) as problem:
        sighting_in_table(table, "scene.tif")
    assert "looks.csv" in str(problem.value)


def test_latin_1_and_absent_tables_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "looks.csv"
    with pytest.raises(InputError, match="cannot be read"):
        sighting_in_table(table, "scene.tif")
    table.write_bytes("scene,off_nadir_deg\ncaf\u00e9,1\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        sighting_in_table(table, "scene.tif")
