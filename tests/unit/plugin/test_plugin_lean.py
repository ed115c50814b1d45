"""How roofs lean, on paper and against PROJ."""

from __future__ import annotations

import math

import pytest
from rasterio.crs import CRS
from rasterio.warp import transform

from qgis_plugin.lean import Offset, Place, between, lean, moved, off_nadir_of

PLACES = [Place(-84.4, 33.7), Place(151.2, -33.9), Place(10.0, 69.0), Place(179.99995, 0.0)]


@pytest.mark.parametrize(
    ("azimuth_deg", "east_m", "north_m"),
    [(0, 0, 10), (90, 10, 0), (180, 0, -10), (270, -10, 0), (45, 7.0711, 7.0711)],
)
def test_roofs_lean_towards_the_azimuth(azimuth_deg: float, east_m: float, north_m: float) -> None:
    way = lean(45, azimuth_deg, 10)
    assert way == pytest.approx((east_m, north_m), abs=1e-4)
    assert way.azimuth_deg == pytest.approx(azimuth_deg)


@pytest.mark.parametrize("off_nadir_deg", [0.0, 7.8, 32.5, 54.0])
def test_a_lean_gives_the_angle_back(off_nadir_deg: float) -> None:
    assert off_nadir_of(lean(off_nadir_deg, 123, 17), 17) == pytest.approx(off_nadir_deg)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("azimuth_deg", [0.0, 60.0, 200.0, 333.0])
def test_a_way_leads_there_and_back(place: Place, azimuth_deg: float) -> None:
    way = lean(30, azimuth_deg, 50)
    found = between(place, moved(place, way))
    assert found == pytest.approx(way, abs=1e-3)
    assert found.azimuth_deg == pytest.approx(azimuth_deg, abs=0.01)


@pytest.mark.parametrize("place", PLACES)
def test_metres_and_north_are_those_of_proj(place: Place) -> None:
    """An independent program: an equal-area projection centred on the place."""
    local = CRS.from_proj4(f"+proj=laea +lat_0={place.lat} +lon_0={place.lon} +datum=WGS84")
    for way in (Offset(60, 0), Offset(0, 60), Offset(-30, 45)):
        end = moved(place, way)
        (east_m,), (north_m,) = transform(CRS.from_epsg(4326), local, [end.lon], [end.lat])
        assert math.hypot(east_m - way.east_m, north_m - way.north_m) < 0.01
