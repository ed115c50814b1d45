"""The public face: what a notebook gets, how often it may read it, and what is refused."""

from __future__ import annotations

import dataclasses
import logging
import typing
from pathlib import Path

import numpy as np
import pytest
import shapely

import snet4core
from helpers.bright import Bright, write_town
from snet4core.errors import InputError, LookError, OutputError
from snet4core.footprints import spool
from snet4core.parts.plan import ChoiceOptions, Choices


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_town(tmp_path_factory.mktemp("scene") / "town.tif")


@pytest.fixture
def found(town: Path) -> typing.Iterator[snet4core.Detected]:
    with snet4core.detect(town, model=Bright(), off_nadir_deg=30, min_area_m2=1.0) as found:
        yield found


def test_keywords_are_the_fields_of_choices() -> None:
    hints = typing.get_type_hints(Choices)
    assert typing.get_type_hints(ChoiceOptions) == hints
    assert list(ChoiceOptions.__annotations__) == [
        each.name for each in dataclasses.fields(Choices)
    ]


def test_a_misspelt_keyword_is_refused(town: Path) -> None:
    with pytest.raises(TypeError, match="treshold"):
        snet4core.detect(town, model=Bright(), treshold=0.4)  # type: ignore[call-arg]


def test_it_can_be_read_more_than_once_in_every_way(found: snet4core.Detected) -> None:
    ids = [each.footprint_id for each in found]
    assert ids == list(range(1, len(found) + 1))
    assert [each.footprint_id for each in found] == ids
    assert found.all().footprint_id_N.tolist() == ids
    assert sum(len(batch) for batch in found.batches()) == len(found) > 2


def test_it_says_what_it_is(found: snet4core.Detected) -> None:
    assert found.scene == "town"
    assert found.look == snet4core.Look(30.0, None, "option")
    assert found.crs.to_epsg() == 32616
    assert repr(found) == f"<Detected: {len(found)} footprints of 'town' at 30 degrees off nadir>"
    assert "30 degrees off nadir" in found.description["look"]


def test_it_is_written_as_the_command_line_writes_it(
    found: snet4core.Detected, tmp_path: Path
) -> None:
    layer, table = tmp_path / "o.gpkg", tmp_path / "o.csv"
    assert found.write(layer, csv=table) == len(found)
    assert len(table.read_text().splitlines()) == 1 + len(found)
    before = layer.read_bytes()
    with pytest.raises(OutputError, match="overwrite"):
        found.write(layer)
    found.write(str(layer), overwrite=True)
    assert layer.read_bytes() == before


def test_a_geodataframe_has_the_layers_fields(found: snet4core.Detected) -> None:
    pytest.importorskip("geopandas", reason="GeoPandas is not installed")
    frame = found.to_geodataframe()
    table = found.all()
    assert frame.crs.to_epsg() == 32616
    assert list(frame.columns) == [*table.columns(), "geometry"]
    assert shapely.equals_exact(frame.geometry.to_numpy(), table.polygons_N, 0.0).all()


def test_without_geopandas_one_sentence_says_what_to_do(
    found: snet4core.Detected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snet4core.parts.face.installed", lambda _: False)
    with pytest.raises(ImportError, match="pip install geopandas"):
        found.to_geodataframe()


def test_other_libraries_read_the_geo_interface(found: snet4core.Detected) -> None:
    collection = found.__geo_interface__
    assert collection["type"] == "FeatureCollection"
    shapes = [shapely.geometry.shape(each["geometry"]) for each in collection["features"]]
    assert shapely.equals(np.array(shapes), found.all().polygons_N).all()
    assert collection["features"][0]["properties"]["scene"] == "town"


def test_closed_is_closed(town: Path) -> None:
    with snet4core.detect(town, model=Bright(), off_nadir_deg=30) as found:
        pass
    found.close()  # twice is no error
    with pytest.raises(ValueError, match="detect them again"):
        found.all()


def test_warnings_are_kept_and_logged(town: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING, logger="snet4"),
        snet4core.detect(town, model=Bright(), off_nadir_deg=60) as found,
    ):
        assert any("60 degrees is outside" in each for each in found.warnings)
    assert found.warnings[0] in caplog.messages


def test_maps_give_the_same_footprints(town: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps.tif"
    with (
        snet4core.detect(
            town, model=Bright(), off_nadir_deg=30, min_area_m2=1.0, save_maps=maps
        ) as found,
        snet4core.polygonize(maps, min_area_m2=1.0, block_px=50) as again,
        snet4core.polygonize(maps, min_area_m2=30.0) as fewer,
    ):
        assert again.all().columns() == found.all().columns()
        assert 0 < len(fewer) < len(found)
    with pytest.raises(OutputError, match="overwrite"):
        snet4core.detect(town, model=Bright(), off_nadir_deg=30, save_maps=maps)


def test_errors_come_from_the_call_itself(town: Path, tmp_path: Path) -> None:
    with pytest.raises(LookError, match="--off-nadir"):
        snet4core.detect(town, model=Bright())
    with pytest.raises(InputError, match=r"none\.tif"):
        snet4core.detect(tmp_path / "none.tif", model=Bright(), off_nadir_deg=30)


def test_a_failure_on_the_way_leaves_no_open_file(
    town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[spool.Spool] = []
    monkeypatch.setattr(spool.Spool, "close", lambda self: closed.append(self))

    def broken(*_: object, **__: object) -> None:
        raise InputError("half of the scene cannot be read")

    monkeypatch.setattr(spool.Spool, "add", broken)
    with pytest.raises(InputError, match="half of the scene"):
        snet4core.detect(town, model=Bright(), off_nadir_deg=30)
    assert closed
