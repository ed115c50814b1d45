"""Deliveries as vendors make them: which file describes a picture, and what its fields mean.

Names are those of published samples and of other people's programs; the sources stand in
docs/guide/look-sources.md. Files are made here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snet4core.errors import InputError
from snet4core.look.airbus import to_satellite_deg
from snet4core.look.orbits import off_nadir_of_incidence
from snet4core.look.sighting import angle_between_deg
from snet4core.look.sources import LookFound, find_look
from snet4core.scene.deliveries import delivery_of
from snet4core.scene.inputs import SceneInput
from snet4core.scene.scene import Scene, open_scene

Picture = Callable[..., Path]
ONE_PIXEL = np.full((3, 4, 4), 9, dtype=np.uint8)
FOUR_BANDS = np.stack([np.full((4, 4), 10 * n, dtype=np.uint16) for n in range(1, 5)])

NAMES = [
    # Maxar. SpaceNet's delivery of WorldView-3, and names from issues of other programs.
    ("15OCT22183656-S2AS_R1C1-056155973040_01_P001.TIF",
     "15OCT22183656-S2AS-056155973040_01_P001.IMD", "imd"),
    ("15OCT22183656-S2AS_R1C2-056155973040_01_P001.TIF",
     "15OCT22183656-S2AS-056155973040_01_P001.XML", "xml"),
    ("15OCT22183656-S2AS_R1C1-056155973040_01_P001_COG.TIF",
     "15OCT22183656-S2AS-056155973040_01_P001.XML", "xml"),
    ("16FEB29111912-S2AS_R01C02-056155973010_01_P001.TIF",
     "16FEB29111912-S2AS-056155973010_01_P001.IMD", "imd"),
    ("04DEC11050020-M2AS_R1C1-000000185964_01_P001.TIF",
     "04DEC11050020-M2AS-000000185964_01_P001.IMD", "imd"),
    ("06OCT20025052-P2AS-005553965230_01_P001.TIF",
     "06OCT20025052-P2AS-005553965230_01_P001.IMD", "imd"),
    ("12FEB12053305-P1BS_R2C1-052783824050_01_P001.TIF",
     "12FEB12053305-P1BS_R2C1-052783824050_01_P001.XML", "xml"),
    ("13SEP20073259-M2AS-055783286010_01_P001.tif",
     "13SEP20073259-M2AS-055783286010_01_P001.imd", "imd"),
    ("19APR07023734-M2AS_R1C1-014493907010_01_P001.TIF",
     "19APR07023734-M2AS-014493907010_01_P001.XML", "xml"),
    ("20MAR28221842-M3DS-013930604400_01_P001.TIF",
     "20MAR28221842-M3DS-013930604400_01_P001.IMD", "imd"),
    ("23APR13152142-S2AS_R1C1-015696339010_05_P001.TIF",
     "23APR13152142-S2AS-015696339010_05_P001.XML", "xml"),
    # WorldView Legion.
    ("25JUL28021134-M2AS_R1C1-050246698010_01_P001.TIF",
     "25JUL28021134-M2AS-050246698010_01_P001.IMD", "imd"),
    # As renamed, and processed, by the Polar Geospatial Center and others.
    ("WV02_20120719233558_103001001B998D00_12JUL19233558-M1BS-052754253040_01_P001.TIF",
     "WV02_20120719233558_103001001B998D00_12JUL19233558-M1BS-052754253040_01_P001.xml", "xml"),
    ("WV02_20120719233558_103001001B998D00_12JUL19233558-M1BS-052754253040_01_P001_u08rf3413.tif",
     "WV02_20120719233558_103001001B998D00_12JUL19233558-M1BS-052754253040_01_P001.xml", "xml"),
    ("21JAN02031709-M2AS-013317249030_01_P002_FUS_DOM.tif",
     "21JAN02031709-M2AS-013317249030_01_P002.IMD", "imd"),
    # Airbus: Pléiades, SPOT 6 and 7, Pléiades Neo with its groups of bands.
    ("IMG_PHR1A_P_201605260427149_ORT_1792732101-001_R1C1.JP2",
     "DIM_PHR1A_P_201605260427149_ORT_1792732101-001.XML", "dim"),
    ("IMG_PHR1B_MS_202104211119066_SEN_6005996101-2_R1C1.JP2",
     "DIM_PHR1B_MS_202104211119066_SEN_6005996101-2.XML", "dim"),
    ("IMG_PHR1B_PMS_202111010946043_ORT_2a562ee2-09b6-41fc-c1ab-5d6e9fd4c711_R1C1.TIF",
     "DIM_PHR1B_PMS_202111010946043_ORT_2a562ee2-09b6-41fc-c1ab-5d6e9fd4c711.XML", "dim"),
    ("IMG_PHR1B_P_202204132246314_SEN_6304928201-1_R1C1_crop.TIF",
     "DIM_PHR1B_P_202204132246314_SEN_6304928201-1.XML", "dim"),
    ("IMG_SPOT6_MS_201803151357431_ORT_A1520000112510_R1C1.JP2",
     "DIM_SPOT6_MS_201803151357431_ORT_A1520000112510.XML", "dim"),
    ("IMG_SPOT6_PMS_201809040237336_ORT_SPOT6_20180904_02503513ik99j3p4hk8_1_R1C1.TIF",
     "DIM_SPOT6_PMS_201809040237336_ORT_SPOT6_20180904_02503513ik99j3p4hk8_1.XML", "dim"),
    ("IMG_PNEO3_202204031105489_PMS-FS_ORT_PWOI_000125930_1_1_F_1_NED_R2C2.JP2",
     "DIM_PNEO3_202204031105489_PMS-FS_ORT_PWOI_000125930_1_1_F_1.XML", "dim"),
    ("IMG_PNEO4_202401241018189_PAN_SEN_PWOI_000194893_1_1_F_1_P_R1C1.JP2",
     "DIM_PNEO4_202401241018189_PAN_SEN_PWOI_000194893_1_1_F_1.XML", "dim"),
    ("IMG_PNEO4_202305150851506_PMS-FS_ORT_698037a1-10fa-4211-c245-2bfb3dc1ee9f_RGB_R1C1.TIF",
     "DIM_PNEO4_202305150851506_PMS-FS_ORT_698037a1-10fa-4211-c245-2bfb3dc1ee9f.XML", "dim"),
    ("IMG_PNEO3_STD_202305170722489_PAN_ORT_PWOI_000373521_3_2_F_1_P_R4C1.TIF",
     "DIM_PNEO3_STD_202305170722489_PAN_ORT_PWOI_000373521_3_2_F_1.XML", "dim"),
    # Planet: SuperDove and Dove, SkySat scenes and collects.
    ("20210709_175710_72_105e_3B_AnalyticMS_SR.tif", "20210709_175710_72_105e_metadata.json",
     "planet"),
    ("20220407_182547_92_2477_3B_AnalyticMS_SR_8b_harmonized_clip.tif",
     "20220407_182547_92_2477_metadata.json", "planet"),
    ("20190408_015325_76_105a_1B_AnalyticMS.tif",
     "20190408_015325_76_105a_1B_AnalyticMS_metadata.xml", "planet_xml"),
    ("20241110_053942_45_24f7_3B_AnalyticMS_SR_8b_clip.tif",
     "20241110_053942_45_24f7_3B_AnalyticMS_8b_metadata.xml", "planet_xml"),
    ("20200817_013159_78_2277_3B_AnalyticMS_clip.tif",
     "20200817_013159_78_2277_3B_AnalyticMS_metadata_clip.xml", "planet_xml"),
    ("4939505_2012-12-11_RE1_3A_Analytic.tif", "4939505_2012-12-11_RE1_3A_Analytic_metadata.xml",
     "planet_xml"),
    ("2376743_4865309_2019-05-20_0f2a_BGRN_Analytic.tif",
     "2376743_4865309_2019-05-20_0f2a_BGRN_Analytic_metadata.xml", "planet_xml"),
    ("20180108_101339_ssc1d3_0013_visual.tif", "20180108_101339_ssc1d3_0013_metadata.json",
     "planet"),
    ("20251222_064159_ssc1d1_0010_basic_analytic.tif", "20251222_064159_ssc1d1_0010_metadata.json",
     "planet"),
    ("20200716_104044_ssc11_u0001_analytic.tif", "20200716_104044_ssc11_u0001_metadata.json",
     "planet"),
    # Named as not read: their fields' meaning is not published where it could be checked.
    ("BSG-102-20220425-215106-22900060_georeferenced-pan.tif",
     "BSG-102-20220425-215106-22900060_metadata.json", "unread"),
    ("bsg-104-20230522-044750-90756881_ortho.tif",
     "bsg-104-20230522-044750-90756881_metadata.json", "unread"),
    ("JL1KF01C_PMSL2_20231218114103_200220439_101_0022_001_L3D_PSH.tif",
     "JL1KF01C_PMSL2_20231218114103_200220439_101_0022_001_L3D_PSH_meta.xml", "unread"),
    ("JL1GF03B02_PMS_20220516095811_200084559_101_0008_001_L1_PAN.tif",
     "JL1GF03B02_PMS_20220516095811_200084559_101_0008_001_L1_meta.xml", "unread"),
    ("K3A_20190120043337_21100_00324917_L1G.tif", "K3A_20190120043337_21100_00324917_L1G_Aux.xml",
     "unread"),
    ("K3_20171029060300_29078_07711197_L1G_B.tif", "K3_20171029060300_29078_07711197_L1G_Aux.xml",
     "unread"),
    ("SV1-01_20220406_L1B0001459266_6042300242240010_01-MUX.tiff",
     "SV1-01_20220406_L1B0001459266_6042300242240010_01-MUX.xml", "unread"),
    ("GF2_PMS1_E108.9_N34.2_20181026_L1A0003549596-MSS1.tiff",
     "GF2_PMS1_E108.9_N34.2_20181026_L1A0003549596-MSS1.xml", "unread"),
    ("BAND2.tif", "BAND_META.txt", "unread"),
]  # fmt: skip
"""(picture, the file that describes it, the field of `Delivery`)."""


@pytest.mark.parametrize(("picture_name", "metadata", "kind"), NAMES, ids=[n for n, _, _ in NAMES])
def test_the_file_that_describes_a_picture_is_found(
    tmp_path: Path, picture_name: str, metadata: str, kind: str
) -> None:
    (tmp_path / picture_name).touch()
    (tmp_path / metadata).touch()
    found = getattr(delivery_of(tmp_path / picture_name), kind)
    assert (found[0] if kind == "unread" else found) == tmp_path / metadata


def test_the_table_is_long_enough() -> None:
    assert len(NAMES) >= 30


@pytest.mark.parametrize(
    ("picture_name", "metadata"),
    [
        ("15OCT22183656-S2AS_R1C1-056155973040_01_P001.TIF",
         "15OCT22183656-S2AS-056155973040_01_P002.IMD"),
        ("15OCT22183656-S2AS_R1C1-056155973040_01_P001.TIF",
         "15OCT22183656-P2AS-056155973040_01_P001.IMD"),
        ("IMG_PHR1A_P_201605260427149_ORT_1_R1C1.JP2", "DIM_PHR1A_MS_201605260427149_ORT_1.XML"),
        ("20210709_175710_72_105e_3B_AnalyticMS.tif", "20210709_175712_72_105e_metadata.json"),
        ("20210709_175710_72_105e_3B_AnalyticMS.tif", "20210709_metadata.json"),
        ("town_R1C1.tif", "city.IMD"),
    ],
)  # fmt: skip
def test_the_file_of_another_picture_is_not(
    tmp_path: Path, picture_name: str, metadata: str
) -> None:
    (tmp_path / metadata).write_text("<a/>")
    delivery = delivery_of(tmp_path / picture_name)
    assert all(getattr(delivery, field) is None for field in delivery.__slots__)


def test_a_dim_of_any_name_describes_the_pictures_that_it_lists(tmp_path: Path) -> None:
    listing = '<a><DATA_FILE_PATH href="IMG_PHR1A_renamed_R1C1.TIF"/></a>'
    (tmp_path / "DIM_other.XML").write_text("<a><b/></a>")
    (tmp_path / "DIM_product.XML").write_text(listing)
    assert delivery_of(tmp_path / "IMG_PHR1A_renamed_R1C1.TIF").dim == tmp_path / "DIM_product.XML"
    assert delivery_of(tmp_path / "IMG_PHR1A_another_R1C1.TIF").dim is None


# --- The look ---


@pytest.fixture
def look(picture: Picture) -> Callable[..., LookFound]:
    """Find the look of a scene of that name, with files put beside it."""

    def find(name: str, beside: dict[str, str], **how: Any) -> LookFound:
        path = picture(ONE_PIXEL, name, photometric="RGB", tags=how.pop("tags", {}))
        for other, text in beside.items():
            path.with_name(other).write_text(text, encoding="utf-8")
        return find_look(open_scene(path), **how)

    return find


def item(properties: dict[str, Any], **asset: Any) -> str:
    """A STAC item whose one asset is `a.tif`."""
    data = {"href": "./a.tif", "type": "image/tiff; application=geotiff", **asset}
    return json.dumps({"type": "Feature", "properties": properties, "assets": {"data": data}})


@pytest.mark.parametrize(
    ("properties", "azimuth_deg"),
    [
        ({"view:azimuth": 2.8}, 2.8),
        ({"view:azimuth": 2.8, "constellation": "skysat"}, 182.8),
        ({"view:azimuth": 2.8, "platform": "SS05"}, 182.8),
        ({"view:azimuth": 2.8, "constellation": "pelican"}, 182.8),
        ({"view:azimuth": 2.8, "platform": "tanager-1"}, 182.8),
        ({"view:azimuth": 2.8, "constellation": "PlanetScope"}, 182.8),
        ({"view:azimuth": 2.8, "pl:item_type": "SkySatCollect"}, 182.8),
        ({"pl:satellite_azimuth": 141.7, "platform": "SS01"}, 321.7),
        ({"view:azimuth": 362.8, "platform": "rapideye-3"}, 182.8),
        ({"view:azimuth": 2.8, "instruments": ["PSB.SD"]}, 182.8),
        ({"view:azimuth": 2.8, "providers": [{"name": "Planet Labs PBC"}]}, 182.8),
        ({"view:azimuth": 2.8, "providers": [{"name": "Airbus DS"}]}, None),
        ({"view:azimuth": 2.8, "providers": "?", "instruments": [None, 3, {}]}, 2.8),
        ({"view:azimuth": 2.8, "satellite_azimuth": 2.8}, 182.8),
        ({"satellite_azimuth": 2.8}, 182.8),
        ({"view:azimuth": 179.7, "constellation": "PHR", "platform": "PHR-1A"}, None),
        ({"view:azimuth": 179.7, "constellation": "pneo"}, None),
        ({"view:azimuth": 2.8, "mission": "SkySat"}, 182.8),
        ({"view:azimuth": 2.8, "instruments": "PSB.SD"}, 182.8),
        ({"view:azimuth": 2.8, "oam:producer_name": "Planet"}, 182.8),
        ({"eo:azimuth": 2.8}, 2.8),
        ({"eo:azimuth": 2.8, "platform": "SS01"}, 182.8),
        ({"view:azimuth": 2.8, "platform": "WV03"}, 2.8),
    ],
)
def test_an_azimuth_means_what_its_provider_means(
    look: Callable[..., LookFound], properties: dict[str, Any], azimuth_deg: float | None
) -> None:
    found = look("a.tif", {"a.json": item({"view:off_nadir": 30.0, **properties})})
    assert found.look.azimuth_deg == pytest.approx(azimuth_deg)
    scan = azimuth_deg is None
    assert ["view:azimuth is the direction of the scan" in w for w in found.warnings] == [
        True
    ] * scan


@pytest.mark.parametrize(
    ("platform", "height_km"),
    [("PHR-1A", 694), ("pneo3", 620), ("WV02", 770), ("SS05", 450), ("none known", 620)],
)
def test_an_incidence_angle_alone_becomes_off_nadir(
    look: Callable[..., LookFound], platform: str, height_km: float
) -> None:
    text = item({"view:incidence_angle": 30.0, "platform": platform})
    expected = off_nadir_of_incidence(30.0, height_km)
    assert look("a.tif", {"a.json": text}).look.off_nadir_deg == pytest.approx(expected)
    both = item({"view:incidence_angle": 30.0, "view:off_nadir": 21.0, "platform": platform})
    assert look("a.tif", {"a.json": both}).look.off_nadir_deg == 21.0


def test_fields_of_the_asset_precede_those_of_the_item(look: Callable[..., LookFound]) -> None:
    text = item({"view:off_nadir": 12.0}, **{"view:off_nadir": 31.0, "view:azimuth": 40.0})
    found = look("a.tif", {"a.json": text})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (31.0, 40.0)


def test_an_item_that_lists_the_picture_is_found_by_its_id(look: Callable[..., LookFound]) -> None:
    name = "20230101_101010_ssc5_u0001_visual.tif"
    facts = {"platform": "SS05", "view:off_nadir": 32.5, "view:azimuth": 2.8}
    beside = {"20230101_101010_ssc5_u0001.json": item(facts, href=name)}
    found = look(name, beside)
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (32.5, pytest.approx(182.8))
    beside = {"20230101_101010_ssc5_u0001.json": item(facts, href="another.tif")}
    assert look(name, beside, off_nadir_deg=32.5).look.azimuth_deg is None


def test_an_item_of_planets_collection_is_known_by_it(look: Callable[..., LookFound]) -> None:
    found = json.loads(item({"view:off_nadir": 32.5, "view:azimuth": 2.8}))
    schema = "https://planetlabs.github.io/stac-extension/v1.0.0-beta.1/schema.json"
    for told in ({"collection": "SkySatCollect"}, {"stac_extensions": [None, schema]}):
        text = json.dumps({**found, **told})
        assert look("a.tif", {"a.json": text}).look.azimuth_deg == pytest.approx(182.8)


def test_names_of_fields_before_stac_1_are_read(look: Callable[..., LookFound]) -> None:
    text = item({"eo:off_nadir": 31.0, "eo:azimuth": 40.0})
    found = look("a.tif", {"a.json": text})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (31.0, 40.0)
    both = item({"eo:off_nadir": 31.0, "view:off_nadir": 12.0})
    assert look("a.tif", {"a.json": both}).look.off_nadir_deg == 12.0


@pytest.mark.parametrize("kind", ["visual", "pan_analytic", "ms_analytic"])
def test_an_item_of_maxars_open_data_is_found(look: Callable[..., LookFound], kind: str) -> None:
    """Pictures are called by the catalogue id and their kind, the item by the id."""
    facts = {"platform": "WV02", "view:off_nadir": 27.4, "view:azimuth": 208.9}
    name = f"10300100DB064000-{kind}.tif"
    text = item(facts, href=f"./{name}")
    found = look(name, {"10300100DB064000.json": text})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (27.4, 208.9)
    assert found.look.source == "stac"
    alone = look("10300100DB064001-visual.tif", {"10300100DB064001.json": text}, off_nadir_deg=27.4)
    assert alone.look.azimuth_deg is None


def test_planets_own_description_is_read(look: Callable[..., LookFound]) -> None:
    facts = {"satellite_azimuth": 285.7, "view_angle": -3.1, "item_type": "PSScene"}
    text = json.dumps({"type": "Feature", "properties": facts})
    found = look("20210709_175710_72_105e_3B_AnalyticMS.tif",
                 {"20210709_175710_72_105e_metadata.json": text})  # fmt: skip
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (3.1, pytest.approx(105.7))
    assert found.look.source == "metadata"


def test_the_direction_of_planets_lines_is_no_azimuth(look: Callable[..., LookFound]) -> None:
    text = (
        '<ps:a xmlns:ps="x"><ps:azimuthAngle uom="deg">12.0</ps:azimuthAngle>'
        '<ps:spaceCraftViewAngle uom="deg">-4.5</ps:spaceCraftViewAngle></ps:a>'
    )
    found = look("20190408_015325_76_105a_1B_AnalyticMS.tif",
                 {"20190408_015325_76_105a_1B_AnalyticMS_metadata.xml": text})  # fmt: skip
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (4.5, None)


@pytest.mark.parametrize(
    ("orientation", "along", "across", "line", "sample", "scales", "latitude"),
    [
        # La Réunion 2016, Mont Ventoux 2013, Nice 2017: pictures of Pléiades among the test data
        # of CARS. Angles at the centre as their DIM gives them; derivatives of the RPC there by
        # longitude, latitude and height, in normalised units; scales in degrees and metres.
        (180.06597, -18.0919, -1.79565, (-0.0141020, -1.0754929, 0.0623849),
         (1.0082576, -0.0005623, 0.0044378), (0.0892789, 0.0668366, 1315), -21.24586),
        (179.08306, 5.25816, -1.37983, (0.0171820, -1.0243157, -0.0076940),
         (1.0180715, 0.0167616, 0.0021261), (0.1276670, 0.0974355, 885), 44.13727),
        (179.97366, -8.41977, -5.30256, (-0.0237496, -1.0378624, 0.0136211),
         (1.0052580, 0.0001184, 0.0049278), (0.1269157, 0.0543621, 540), 43.67753),
    ],
    ids=["Reunion", "Ventoux", "Nice"],
)  # fmt: skip
def test_airbus_fields_and_the_sensor_model_agree(
    orientation: float, along: float, across: float,
    line: tuple[float, ...], sample: tuple[float, ...],
    scales: tuple[float, float, float], latitude: float,
) -> None:  # fmt: skip
    """The line of sight runs where line and sample stay: it leads up to the satellite."""
    determinant = line[0] * sample[1] - line[1] * sample[0]
    east = (-line[2] * sample[1] + line[1] * sample[2]) / determinant * scales[0]
    north = (-line[0] * sample[2] + line[2] * sample[0]) / determinant * scales[1]
    east *= math.cos(math.radians(latitude))
    by_sensor_deg = math.degrees(math.atan2(east, north)) % 360
    by_fields_deg = to_satellite_deg(orientation, along, across)
    assert angle_between_deg(by_sensor_deg, by_fields_deg) < 0.5
    metres = math.hypot(east, north) * 111_200
    incidence = math.degrees(
        math.atan(math.hypot(*(math.tan(math.radians(a)) for a in (along, across))))
    )
    assert math.degrees(math.atan2(metres, scales[2])) == pytest.approx(incidence, abs=0.1)


def dim(mission: str, *places: str, kind: str = "Center") -> str:
    name, _, index = mission.partition(" ")
    located = "".join(
        f"<Located_Geometric_Values><LOCATION_TYPE>{kind}</LOCATION_TYPE>"
        f"<Acquisition_Angles>{place}</Acquisition_Angles></Located_Geometric_Values>"
        for place in places
    )
    return (
        f"<Dimap_Document><MISSION>{name}</MISSION><MISSION_INDEX>{index}</MISSION_INDEX>"
        f"<Use_Area>{located}</Use_Area></Dimap_Document>"
    )


def angles(**fields: float) -> str:
    return "".join(f'<{name} unit="deg">{value}</{name}>' for name, value in fields.items())


REUNION = {"INCIDENCE_ANGLE_ALONG_TRACK": -18.09, "INCIDENCE_ANGLE_ACROSS_TRACK": -1.80,
           "INCIDENCE_ANGLE": 18.17, "VIEWING_ANGLE": 16.19}  # fmt: skip


@pytest.mark.parametrize(
    ("mission", "fields", "azimuth_deg"),
    [
        ("PHR 1A", {"AZIMUTH_ANGLE": 180.07, **REUNION}, 174.6),
        ("PNEO 3", {"AZIMUTH_ANGLE": 354.6, "IMAGE_ORIENTATION": 180.07, **REUNION}, 174.6),
        ("SPOT 6", {"AZIMUTH_ANGLE": 354.6, **REUNION}, 174.6),
        ("SPOT 5", {"AZIMUTH_ANGLE": 354.6, **REUNION}, None),
        ("PHR 1A", {"AZIMUTH_ANGLE": 180.07, "VIEWING_ANGLE": 16.19}, None),
    ],
)
def test_the_azimuth_of_airbus_pictures(
    look: Callable[..., LookFound],
    mission: str,
    fields: dict[str, float],
    azimuth_deg: float | None,
) -> None:
    found = look("IMG_a_R1C1.tif", {"DIM_a.XML": dim(mission, angles(**fields))})
    assert found.look.off_nadir_deg == 16.19
    assert found.look.azimuth_deg == pytest.approx(azimuth_deg, abs=0.1)
    assert found.warnings == ()


def test_a_dim_that_contradicts_itself_gives_no_azimuth(look: Callable[..., LookFound]) -> None:
    fields = {"AZIMUTH_ANGLE": 174.6, "IMAGE_ORIENTATION": 180.07, **REUNION}
    found = look("IMG_a_R1C1.tif", {"DIM_a.XML": dim("PNEO 3", angles(**fields))})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (16.19, None)
    assert "contradicts" in found.warnings[0]


# --- Sources that contradict themselves ---

TWO_IMAGES = """BEGIN_GROUP = IMAGE_1
\tmeanSatAz = 201.5;
\tmeanOffNadirViewAngle = 29.1;
END_GROUP = IMAGE_1
BEGIN_GROUP = IMAGE_2
\tmeanSatAz = {azimuth};
\tmeanOffNadirViewAngle = {angle};
END_GROUP = IMAGE_2
END;
"""
TWO_IN_XML = (
    "<isd><IMD><IMAGE><MEANSATAZ>201.5</MEANSATAZ><MEANOFFNADIRVIEWANGLE>29.1"
    "</MEANOFFNADIRVIEWANGLE></IMAGE><IMAGE><MEANSATAZ>{azimuth}</MEANSATAZ>"
    "<MEANOFFNADIRVIEWANGLE>{angle}</MEANOFFNADIRVIEWANGLE></IMAGE></IMD></isd>"
)


@pytest.mark.parametrize(("name", "text"), [("a.IMD", TWO_IMAGES), ("a.XML", TWO_IN_XML)])
def test_a_file_of_two_images_lends_its_first_to_none(
    look: Callable[..., LookFound], name: str, text: str
) -> None:
    found = look("a.tif", {name: text.format(angle=12.0, azimuth=20.0)}, off_nadir_deg=1.0)
    assert found.look.azimuth_deg is None
    (warning,) = found.warnings
    assert "12 to 29.1" in warning
    assert name in warning

    found = look("a.tif", {name: text.format(angle=29.5, azimuth=20.0)})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (29.1, None)
    assert "azimuth" in found.warnings[0]

    found = look("a.tif", {name: text.format(angle=29.5, azimuth=202.0)})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (29.1, 21.5)
    assert found.warnings == ()


IMPOSSIBLE: dict[str, tuple[str, str]] = {
    "IMD": ("a.IMD", "meanOffNadirViewAngle = {angle};\nmeanSatAz = {azimuth};\n"),
    "XML": ("a.XML", "<a><MEANOFFNADIRVIEWANGLE>{angle}</MEANOFFNADIRVIEWANGLE>"
                     "<MEANSATAZ>{azimuth}</MEANSATAZ></a>"),
    "DIM": ("DIM_a.XML", "<a><MISSION>SPOT</MISSION><MISSION_INDEX>6</MISSION_INDEX>"
                         "<VIEWING_ANGLE>{angle}</VIEWING_ANGLE>"
                         "<AZIMUTH_ANGLE>{azimuth}</AZIMUTH_ANGLE></a>"),
    "STAC": ("a.json", '{{"assets":{{}},"properties":{{"view:off_nadir":{angle},'
                       '"view:azimuth":{azimuth}}}}}'),
    "tags": ("", ""),
}  # fmt: skip
"""File and text; programs write such numbers where they know none."""


@pytest.mark.parametrize("kind", IMPOSSIBLE)
@pytest.mark.parametrize("number", [-9999.0, -999999.0, 1e30])
def test_a_number_that_is_no_angle_is_unknown(
    look: Callable[..., LookFound], kind: str, number: float
) -> None:
    name, text = IMPOSSIBLE[kind]

    def found(angle: float, azimuth: float, **given: float) -> LookFound:
        tags = {"meanOffNadirViewAngle": str(angle), "meanSatAz": str(azimuth)} if not name else {}
        beside = {name: text.format(angle=angle, azimuth=azimuth)} if name else {}
        return look("a.tif", beside, tags=tags, **given)

    assert found(29.1, number).look.azimuth_deg is None
    assert found(29.1, 20.0).look.azimuth_deg is not None
    unknown = found(number, number, off_nadir_deg=12.0)
    assert (unknown.look.azimuth_deg, unknown.warnings) == (None, ())


def test_the_look_that_lean_writes_is_read(look: Callable[..., LookFound]) -> None:
    found = look("a.tif", {}, tags={"OFF_NADIR_DEG": "29.1", "AZIMUTH_DEG": "21.5"})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (29.1, 21.5)
    assert found.look.source == "metadata"


def test_tags_of_two_images_neither(look: Callable[..., LookFound]) -> None:
    tags = {"IMAGE_1.meanOffNadirViewAngle": "29.1", "IMAGE_2.meanOffNadirViewAngle": "12.0"}
    found = look("a.tif", {}, tags=tags, off_nadir_deg=1.0)
    assert "12 to 29.1" in found.warnings[0]


def test_a_dim_whose_strips_differ_gives_no_look(look: Callable[..., LookFound]) -> None:
    one, other = angles(VIEWING_ANGLE=12.0), angles(VIEWING_ANGLE=28.0)
    found = look("IMG_a_R1C1.tif", {"DIM_a.XML": dim("PHR 1A", one, other)}, off_nadir_deg=1.0)
    (warning,) = found.warnings
    assert "12.0 to 28.0" in warning
    alike = look("IMG_a_R1C1.tif", {"DIM_a.XML": dim("PHR 1A", one, angles(VIEWING_ANGLE=12.4))})
    assert (alike.look.off_nadir_deg, alike.warnings) == (12.0, ())


def test_a_dim_whose_strips_were_seen_from_different_sides_gives_no_azimuth(
    look: Callable[..., LookFound],
) -> None:
    strips = [angles(AZIMUTH_ANGLE=azimuth, **REUNION) for azimuth in (354.6, 174.6)]
    found = look("IMG_a_R1C1.tif", {"DIM_a.XML": dim("SPOT 6", *strips)})
    assert (found.look.off_nadir_deg, found.look.azimuth_deg) == (16.19, None)
    (warning,) = found.warnings
    assert "different sides" in warning
    alike = [angles(AZIMUTH_ANGLE=azimuth, **REUNION) for azimuth in (354.6, 356.6)]
    found = look("IMG_a_R1C1.tif", {"DIM_a.XML": dim("SPOT 6", *alike)})
    assert (found.look.azimuth_deg, found.warnings) == (pytest.approx(174.6), ())


def test_names_of_file_and_folder_that_differ_are_warned_of(look: Callable[..., LookFound]) -> None:
    found = look("nadir40_set/nadir10.tif", {})
    assert found.look.off_nadir_deg == 10.0
    (warning,) = found.warnings
    assert "40" in warning
    assert "nadir40_set" in warning


def test_metadata_that_are_not_read_are_named(look: Callable[..., LookFound]) -> None:
    name = "K3A_20190120043337_21100_00324917_L1G.tif"
    beside = {"K3A_20190120043337_21100_00324917_L1G_Aux.xml": "<Auxiliary/>"}
    with pytest.raises(InputError, match=r"KOMPSAT's metadata \(K3A_.*_Aux.xml\).*--off-nadir"):
        look(name, beside)
    assert look(name, beside, off_nadir_deg=12.0).warnings == ()


# --- The order of the bands ---


def opened(path: Path, beside: dict[str, str], given: str | None = None) -> Scene:
    for other, text in beside.items():
        path.with_name(other).write_text(text, encoding="utf-8")
    return open_scene(path if given is None else SceneInput(str(path), path.with_name(given)))


def imd(*groups: str, band_id: str = "Multi", satellite: str = "WV03") -> str:
    written = "".join(f"BEGIN_GROUP = BAND_{g}\nEND_GROUP = BAND_{g}\n" for g in groups)
    return f'bandId = "{band_id}";\n{written}BEGIN_GROUP = IMAGE_1\n\tsatId = "{satellite}";\n'


def channels(*names: str) -> str:
    order = ("RED", "GREEN", "BLUE", "ALPHA")
    inside = "".join(f"<{o}_CHANNEL>{n}</{o}_CHANNEL>" for o, n in zip(order, names, strict=False))
    return f"<a><Band_Display_Order>{inside}</Band_Display_Order></a>"


def indices(*names: str) -> str:
    inside = "".join(
        f"<Raster_Index><BAND_ID>{name}</BAND_ID><BAND_INDEX>{n}</BAND_INDEX></Raster_Index>"
        for n, name in enumerate(names, 1)
    )
    return f'<a><DATA_FILE_PATH href="IMG_a_RGB_R1C1.tif"/>{inside}</a>'


def bands(key: str, *names: dict[str, str]) -> str:
    return item({}, **{key: list(names)})


RGBN = ({"common_name": "red"}, {"common_name": "green"}, {"common_name": "blue"},
        {"common_name": "nir"})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "beside", "expected"),
    [
        ("a.tif", {"a.IMD": imd("R", "G", "B", "N")}, (3, 2, 1, 4)),
        ("a.tif", {"a.IMD": imd("B", "G", "R", "N")}, (1, 2, 3, 4)),
        ("a.tif", {"a.IMD": imd("B", "G", "R", "N", band_id="RGBN")}, (3, 2, 1, 4)),
        ("a.tif", {"a.IMD": imd("B", "G", "R", "N", band_id="MS1", satellite="LG01")},
         (3, 2, 1, 4)),
        ("a.tif", {"a.XML": "<isd><IMD><BAND_N><X>1</X></BAND_N><BAND_R><X>1</X></BAND_R>"
                            "<BAND_G><X>1</X></BAND_G><BAND_B><X>1</X></BAND_B></IMD></isd>"},
         (4, 3, 2, 1)),
        ("IMG_a_R1C1.tif", {"DIM_a.XML": channels("B2", "B1", "B0", "B3")}, (3, 2, 1, 4)),
        ("IMG_a_RGB_R1C1.tif", {"DIM_a.XML": indices("R", "G", "B", "NIR")}, (3, 2, 1, 4)),
        ("a.tif", {"a.json": bands("eo:bands", *RGBN)}, (3, 2, 1, 4)),
        ("a.tif", {"a.json": bands("bands", *({"eo:common_name": b["common_name"]} for b in RGBN))},
         (3, 2, 1, 4)),
        ("a.tif", {"a.json": bands("raster:bands", *({"name": b["common_name"]} for b in RGBN))},
         (3, 2, 1, 4)),
        ("a.tif", {"a.json": bands("bands", *RGBN[:3], {"eo:common_name": "nir08"})}, (3, 2, 1, 4)),
        ("a.tif", {"a.json": bands("eo:bands", *({"center_wavelength": each}
                                                 for each in (0.66, 0.56, 0.48, 0.83)))},
         (3, 2, 1, 4)),
        ("a.tif", {"a.json": bands("bands", *({"name": "x", "eo:center_wavelength": each}
                                              for each in (0.83, 0.66, 0.56, 0.48)))},
         (4, 3, 2, 1)),
        ("20210709_175710_72_105e_3B_AnalyticMS_SR.tif", {}, (1, 2, 3, 4)),
        ("20200716_104044_ssc11_u0001_analytic.tif", {}, (1, 2, 3, 4)),
        ("2376743_4865309_2019-05-20_0f2a_BGRN_Analytic.tif", {}, (1, 2, 3, 4)),
    ],
)  # fmt: skip
def test_the_delivery_tells_the_order_of_untagged_bands(
    picture: Picture, name: str, beside: dict[str, str], expected: tuple[int, ...]
) -> None:
    scene = opened(picture(FOUR_BANDS, name), beside)
    assert scene.bands.file_bands == expected
    assert scene.warnings == ()
    assert "named in" in scene.bands.says


@pytest.mark.parametrize("other", [{"common_name": "swir16"}, {"center_wavelength": 1.6}, {}])
def test_a_fourth_band_that_is_not_known_is_told(picture: Picture, other: dict[str, Any]) -> None:
    scene = opened(picture(FOUR_BANDS, "a.tif"), {"a.json": bands("eo:bands", *RGBN[:3], other)})
    assert scene.bands.file_bands == (3, 2, 1, None)
    (warning,) = scene.warnings
    assert "band 4 is not read; if it is infrared, give --bands red=1" in warning


def test_the_order_of_superdove_is_not_that_of_worldview(picture: Picture) -> None:
    eight = np.stack([np.full((4, 4), n, dtype=np.uint16) for n in range(8)])
    scene = open_scene(picture(eight, "20220407_182547_92_2477_3B_AnalyticMS_SR_8b_clip.tif"))
    assert scene.bands.file_bands == (2, 4, 6, 8)


def test_the_red_edge_of_rapideye_is_no_infrared(picture: Picture) -> None:
    five = np.stack([np.full((4, 4), n, dtype=np.uint16) for n in range(5)])
    scene = open_scene(picture(five, "4939505_2012-12-11_RE1_3A_Analytic.tif"))
    assert (scene.bands.file_bands, scene.warnings) == ((1, 2, 3, 5), ())


def test_a_given_item_tells_the_order_too(picture: Picture) -> None:
    scene = opened(
        picture(FOUR_BANDS, "a.tif"), {"other.json": bands("eo:bands", *RGBN)}, "other.json"
    )
    assert scene.bands.file_bands == (3, 2, 1, 4)


@pytest.mark.parametrize(
    "beside",
    [{"a.IMD": imd("C", "B", "G", "Y", "R", "RE", "N", "N2")}, {"a.IMD": imd("P")},
     {"a.json": bands("eo:bands", *RGBN[:3])}, {"a.XML": "<isd><IMD>"}, {"a.json": "[1"}],
    ids=["eight", "pan", "three", "cut", "no JSON"],
)  # fmt: skip
def test_metadata_of_other_bands_say_nothing(picture: Picture, beside: dict[str, str]) -> None:
    scene = opened(picture(FOUR_BANDS, "a.tif"), beside)
    assert "four untagged bands" in scene.bands.says


def test_metadata_of_other_bands_leave_it_to_those_of_these(picture: Picture) -> None:
    beside = {"a.json": bands("eo:bands", *RGBN[:3]), "a.IMD": imd("R", "G", "B", "N")}
    scene = opened(picture(FOUR_BANDS, "a.tif"), beside)
    assert scene.bands.file_bands == (3, 2, 1, 4)
    assert "named in a.IMD" in scene.bands.says


@pytest.mark.parametrize(
    ("name", "beside", "option"),
    [
        ("IMG_a_NED_R1C1.tif", {"DIM_a.XML": indices("NIR", "RE", "DB").replace("RGB", "NED")},
         "nir=1"),
        ("a.tif", {"a.json": bands("eo:bands", {"common_name": "nir"}, {"common_name": "red"},
                                   {"common_name": "green"})}, "nir=1,red=2,green=3"),
        ("a.tif", {"a.IMD": imd("RE", "N", "N2")}, "nir=2"),
        ("IMG_PNEO4_202305150851506_PMS-FS_ORT_1_NED_R1C1.tif", {}, "nir=1"),
    ],
    ids=["Neo's second group", "colour infrared", "three of eight", "by its name"],
)  # fmt: skip
def test_three_bands_that_are_others_are_not_red_green_blue(
    picture: Picture, name: str, beside: dict[str, str], option: str
) -> None:
    path = picture(FOUR_BANDS[:3], name)
    with pytest.raises(InputError, match=rf"3 bands \(.* by .*\).*--bands {option}\.$"):
        opened(path, beside)
    assert open_scene(path, bands=option).bands.file_bands


def test_the_file_itself_is_believed_and_the_contradiction_told(picture: Picture) -> None:
    path = picture(FOUR_BANDS, "a.tif", descriptions=("blue", "green", "red", "nir"))
    scene = opened(path, {"a.IMD": imd("R", "G", "B", "N")})
    assert scene.bands.file_bands == (1, 2, 3, 4)
    (warning,) = scene.warnings
    assert "--bands red=1,green=2,blue=3,nir=4" in warning
    assert "a.IMD" in warning
