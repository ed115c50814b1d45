"""What guards something does: no connection is opened, no other format read, nothing fetched.

Each guard has a test that was seen failing without it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from snet4_training.pictures.flat import flat_pictures
from snet4_training.pictures.ground import mosaic
from snet4_training.pictures.lean_file import lean_file
from snet4_training.pictures.pairs import Pair
from snet4_training.pictures.splits import joined_places
from snet4core.errors import InputError
from snet4core.layers.read import area_in, read_buildings
from snet4core.layers.vectors import has_layer
from snet4core.look.look import Look

Picture = Callable[..., Path]
SQUARE = "[[[733601,3725100],[733620,3725100],[733620,3725139],[733601,3725139],[733601,3725100]]]"
COLLECTION = (
    '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},'
    f'"geometry":{{"type":"Polygon","coordinates":{SQUARE}}}}}]}}'
)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[bytes]]]:
    """A server that remembers what it was asked: its address, and the requests."""
    # Bindings hold Python's lock while they wait, so that the server below cannot answer.
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "2")
    server = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            asked.append(connection.recv(100))
            connection.sendall(b"HTTP/1.0 404 no\r\n\r\n")
            connection.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def heard(asked: list[bytes]) -> list[bytes]:
    """The requests, once the server's thread has had a moment."""
    time.sleep(0.05)
    return asked


def ogr_vrt(source: str) -> str:
    return (
        '<OGRVRTDataSource><OGRVRTLayer name="x">'
        f"<SrcDataSource>{source}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )


def gml(schema: str, comment: str = "") -> str:
    return (
        f'<?xml version="1.0"?><!--{comment}--><gml:FeatureCollection '
        'xmlns:gml="http://www.opengis.net/gml" xmlns:a="http://a.example" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="http://a.example {schema}"><gml:featureMember><a:b><a:g>'
        '<gml:Polygon srsName="EPSG:32616"><gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>'
        "733601,3725100 733620,3725100 733620,3725139 733601,3725100</gml:coordinates>"
        "</gml:LinearRing></gml:outerBoundaryIs></gml:Polygon></a:g></a:b></gml:featureMember>"
        "</gml:FeatureCollection>"
    )


POSING: dict[str, Callable[[str], str]] = {
    "a VRT": lambda url: ogr_vrt(f"/vsicurl/{url}/x.geojson"),
    "a VRT after blanks": lambda url: "\n \n" + ogr_vrt(f"/vsicurl/{url}/x.geojson"),
    "a VRT in GML's comment": lambda url: gml("x.xsd", ogr_vrt(f"/vsicurl/{url}/x.geojson")),
    "a service": lambda url: f"<OGRWFSDataSource><URL>{url}/wfs</URL></OGRWFSDataSource>",
    "a raster VRT": lambda url: (
        f"<VRTDataset><SourceFilename>/vsicurl/{url}/a.tif</SourceFilename></VRTDataset>"
    ),
    "an address": lambda url: f"{url}/x.geojson",
}


@pytest.mark.parametrize("name", ["t.geojson", "t.gml", "t.fgb", "t.gpkg", "t.shp", "t.json"])
@pytest.mark.parametrize("fault", POSING)
def test_no_vector_file_opens_a_connection(
    tmp_path: Path, listener: tuple[str, list[bytes]], fault: str, name: str
) -> None:
    url, asked = listener
    path = tmp_path / name
    path.write_text(POSING[fault](url))
    for read in (read_buildings, lambda p: area_in(p, CRS.from_epsg(32616))):
        with pytest.raises(InputError, match=name):
            read(path)
    assert heard(asked) == []


def test_a_schema_elsewhere_is_not_fetched(
    tmp_path: Path, listener: tuple[str, list[bytes]]
) -> None:
    url, asked = listener
    path = tmp_path / "t.gml"
    wfs = f"{url}/wfs?SERVICE=WFS&amp;VERSION=1.0.0&amp;REQUEST=DescribeFeatureType&amp;TYPENAME=b"
    path.write_text(gml(wfs))
    assert len(read_buildings(path)) == 1
    assert heard(asked) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["t.gml"]


@pytest.mark.parametrize("fault", ["a VRT", "a VRT after blanks", "a service"])
def test_a_gml_file_is_asked_for_its_layers_by_no_other_driver(
    tmp_path: Path, listener: tuple[str, list[bytes]], fault: str
) -> None:
    """Whatever the first bytes let through: this guard does not rely on that one."""
    url, asked = listener
    path = tmp_path / "t.gml"
    path.write_text(POSING[fault](url))
    assert not has_layer(path, 0)
    assert heard(asked) == []


def test_the_listener_hears_what_no_guard_stops(
    tmp_path: Path, listener: tuple[str, list[bytes]]
) -> None:
    """Otherwise the tests above would prove nothing."""
    url, asked = listener
    path = tmp_path / "t.geojson"
    path.write_text(ogr_vrt(f"/vsicurl/{url}/x.geojson"))
    code = f"import fiona\ntry: fiona.open({str(path)!r})\nexcept Exception: pass"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert asked


@pytest.mark.parametrize("keys", ["rings", "coordinates"])
def test_a_format_that_begins_like_one_on_the_list_is_not_read(tmp_path: Path, keys: str) -> None:
    """JSON of Esri's services: its driver would be asked, too, if GDAL might choose."""
    path = tmp_path / "t.json"
    geometry = f'{{"{keys}":{SQUARE}}}'
    path.write_text(
        '{"displayFieldName":"","geometryType":"esriGeometryPolygon","fields":[],'
        f'"spatialReference":{{"wkid":32616}},"features":[{{"attributes":{{}},"geometry":{geometry}}}]}}'
    )
    with pytest.raises(InputError, match=r"t\.json is not a vector layer"):
        read_buildings(path)


@pytest.mark.parametrize("driver", ["MapInfo File", "CSV", "DXF"])
def test_a_format_that_is_not_on_the_list_is_not_read(tmp_path: Path, driver: str) -> None:
    path = tmp_path / "t.geojson"
    if driver == "CSV":
        path.write_text('WKT,a\n"POLYGON ((0 0,1 0,1 1,0 0))",1\n')
    elif driver == "DXF":
        path.write_text("  0\nSECTION\n  2\nENTITIES\n  0\nENDSEC\n  0\nEOF\n")
    else:
        path.write_text('Version 300\nCharset "Neutral"\nColumns 1\n  a Integer\nData\n')
    with pytest.raises(InputError, match=r"t.geojson is (not a vector layer|a DXF drawing)"):
        read_buildings(path)


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.geojson", "GeoJSON"), ("a.fgb", "FlatGeobuf"), ("a.gpkg", "GPKG"),
     ("a.shp", "ESRI Shapefile"), ("a.gml", "GML"), ("misnamed.gpkg", "GeoJSON"),
     ("http:a.geojson", "GeoJSON"), ("zip+a!b.geojson", "GeoJSON")],
)  # fmt: skip
def test_the_formats_on_the_list_are_read(tmp_path: Path, name: str, driver: str) -> None:
    # FlatGeobuf makes a folder of a name without its extension.
    path = tmp_path / ("written" if driver in ("GPKG", "GeoJSON", "GML") else name)
    schema = {"geometry": "Polygon", "properties": {"n": "int"}}
    crs = "EPSG:32616" if driver != "GeoJSON" else "EPSG:4326"
    square = shapely.box(10, 10, 11, 12)
    with fiona.open(path, "w", driver=driver, schema=schema, crs=crs,
                    allow_unsupported_drivers=True) as file:  # fmt: skip
        file.write({"geometry": shapely.geometry.mapping(square), "properties": {"n": 1}})
    if path.name == "written":
        path.rename(tmp_path / name)
    (found,) = read_buildings(tmp_path / name).polygons_N
    assert found.equals(square)


LINKS = {
    "link": '"crs":{{"type":"link","properties":{{"href":"{url}/crs"}}}}',
    "url": '"crs":{{"type":"url","properties":{{"url":"{url}/crs"}}}}',
    "over several lines": '"crs"\n:\n{{"properties":{{"href":"{url}/crs"}},\n"type":"link"}}',
    "capitals": '"CRS":{{"TYPE":"LINK","PROPERTIES":{{"HREF":"{url}/crs"}}}}',
    "escaped": '"c\\u0072s":{{"t\\u0079pe":"l\\u0069nk","properties":{{"href":"{url}/crs"}}}}',
    "two types": '"crs":{{"type":"link","type":"name","properties":{{"href":"{url}/crs"}}}}',
    "single quotes": "'crs':{{'type':'link','properties':{{'href':'{url}/crs'}}}}",
    "comments": '"crs"/**/:/**/{{"type":"link","properties":{{"href":"{url}/crs"}}}}',
    "a comment": '"crs":/**/{{"type":"link","properties":{{"href":"{url}/crs"}}}}',
    "far away": '"crs":' + " " * 70_000 + '{{"type":"link","properties":{{"href":"{url}/crs"}}}}',
}


@pytest.mark.parametrize("link", LINKS)
def test_a_crs_in_geojson_names_no_address(
    tmp_path: Path, listener: tuple[str, list[bytes]], link: str
) -> None:
    """A single feature too: GDAL reads it with another parser, which takes more for JSON."""
    url, asked = listener
    path = tmp_path / "t.geojson"
    collection = json.loads(COLLECTION)
    (feature,) = collection["features"]
    for whole in (collection, feature):
        path.write_text(f"{json.dumps(whole)[:-1]},{LINKS[link].format(url=url)}}}")
        with pytest.raises(InputError, match=r"t\.geojson, line 1: its crs names an address"):
            read_buildings(path)
    assert heard(asked) == []


@pytest.mark.parametrize(
    "crs",
    ['{"type":"name","properties":{"name":"EPSG:32616"}}',
     '{"type":"EPSG","properties":{"code":32616}}', "null", '"EPSG:32616"', "{}"],
)  # fmt: skip
def test_a_crs_in_geojson_that_says_what_it_is_is_read(tmp_path: Path, crs: str) -> None:
    path = tmp_path / "t.geojson"
    told = json.dumps({"crs": "a", "kind": "crs", "list": ["crs"], "said": '"crs": {'})
    path.write_text(COLLECTION.replace("{}", told, 1)[:-1] + f',"crs":{crs}}}')
    assert len(read_buildings(path)) == 1


@pytest.mark.parametrize("crs", ["{url}/crs", "/vsicurl/{url}/crs", "{folder}/a.wkt"])
def test_a_crs_in_parquet_names_no_file_and_no_address(
    tmp_path: Path, listener: tuple[str, list[bytes]], crs: str
) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    url, asked = listener
    (tmp_path / "a.wkt").write_text(CRS.from_epsg(32616).to_wkt())
    column = {"encoding": "WKB", "crs": crs.format(url=url, folder=tmp_path)}
    geo = {"version": "1.0.0", "primary_column": "g", "columns": {"g": column}}
    table = pa.table({"g": [shapely.to_wkb(shapely.box(0, 0, 9, 9))]})
    path = tmp_path / "t.parquet"
    parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    with pytest.raises(InputError, match=r"t\.parquet"):
        read_buildings(path)
    assert heard(asked) == []


FLAT = Look(0.0, None, "option")
TRAINING: dict[str, Callable[[Path], object]] = {
    "lean": lambda path: lean_file(
        path, path.with_name("a.geojson"), path.with_name("o.tif"), Look(30.0, 20.0, "option")
    ),
    "tiles of a mosaic": lambda path: mosaic(
        [path], path.with_name("a.geojson"), ("blue", "green", "red"), 1, FLAT
    ),
    "a folder of tiles": lambda path: flat_pictures(
        str(path.parent), "a.geojson", True, ("blue", "green", "red")
    ),
    "places of pictures": lambda path: joined_places(
        [Pair(each, path.with_name("a.geojson"), each.stem) for each in (path, path)]
    ),
}


@pytest.mark.parametrize("head", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("reads", TRAINING)
def test_no_picture_that_is_trained_on_opens_a_connection(
    tmp_path: Path, listener: tuple[str, list[bytes]], reads: str, head: bytes
) -> None:
    """GDAL finds a VRT also behind the first bytes of a picture, if it may choose the driver."""
    url, asked = listener
    (tmp_path / "a.geojson").write_text(COLLECTION)
    path = tmp_path / "a.tif"
    text = (
        '<VRTDataset rasterXSize="80" rasterYSize="64" subClass="VRTWarpedDataset">'
        "<SRS>EPSG:32616</SRS><GeoTransform>733601,0.5,0,3725139,0,-0.5</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTWarpedRasterBand"/>'
        "<BlockXSize>80</BlockXSize><BlockYSize>64</BlockYSize><GDALWarpOptions>"
        f'<SourceDataset relativeToVRT="0">/vsicurl/{url}/a.tif</SourceDataset>'
        "</GDALWarpOptions></VRTDataset>"  # opens its source as soon as it is opened
    )
    path.write_bytes(head + text.encode())
    with pytest.raises(InputError, match=r"a\.tif"):
        TRAINING[reads](path)
    assert heard(asked) == []


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_datum_grids_are_not_fetched(tmp_path: Path, listener: tuple[str, list[bytes]]) -> None:
    """PROJ asks its own environment variable; a setting of GDAL's of that name did nothing."""
    url, asked = listener
    code = (
        "import sys\n"
        "if sys.argv[1:]: pass\n"
        "{guard}"
        "from rasterio.crs import CRS\nfrom rasterio.warp import transform\n"
        "from snet4core.scene.gdal import gdal_settings\n"
        "with gdal_settings():\n"
        "    print(transform(CRS.from_epsg(4267), CRS.from_epsg(4326), [-100.0], [40.0]))\n"
    )
    network = {
        "PROJ_NETWORK": "ON",
        "PROJ_NETWORK_ENDPOINT": url,
        "PROJ_USER_WRITABLE_DIRECTORY": str(tmp_path),
    }
    own = "from snet4core.files.environment import use_own_data\nuse_own_data()\n"
    done = run_python(code.format(guard=own), **network)
    assert done.returncode == 0, done.stderr
    assert heard(asked) == []
    # Without the guard it asks, and would ask again for a minute.
    with subprocess.Popen(
        [sys.executable, "-c", code.format(guard="")], env={**os.environ, **network},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as unguarded:  # fmt: skip
        while not asked and unguarded.poll() is None:
            time.sleep(0.05)
        unguarded.kill()
    assert asked, "the test proves nothing"


def test_an_area_of_interest_still_works(picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "aoi.geojson"
    crs = '"crs":{"type":"name","properties":{"name":"EPSG:32616"}},'
    text = COLLECTION.replace('"features"', crs + '"features"')
    path.write_text(text)
    area: Any = area_in(path, CRS.from_epsg(32616))
    np.testing.assert_allclose(area.area, 19 * 39)
