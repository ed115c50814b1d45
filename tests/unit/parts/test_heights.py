"""Choices of heights and roofs: what is left out, what is written, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fiona
import numpy as np
import pytest

from helpers.roofed import HEIGHTS_M, UTM, town
from snet4core.errors import InputError, ModelError, OutputError, UsageError
from snet4core.files.places import FolderPlace
from snet4core.footprints.footprints import Footprints, none_of
from snet4core.jobs import merge as merge_module
from snet4core.jobs import overlap, per_scene
from snet4core.jobs.job import Job
from snet4core.model.card import FIVE_MAPS, Architecture
from snet4core.parts.face import Detected
from snet4core.parts.heights import not_lower, require_roofs
from snet4core.parts.plan import Choices
from snet4core.scene.inputs import SceneInput
from snet4core.sentence import ROOFS
from snet4core.worker.request import Request


def layers(path: Path) -> list[str]:
    return [name for name in fiona.listlayers(path) if name != "layer_styles"]


class TestLeastHeight:
    def test_lower_buildings_go_and_unknown_ones_stay(self) -> None:
        [kept] = not_lower([town()], 6.0)
        heights = [each for each in HEIGHTS_M if not each < 6.0]
        assert kept.height_m_N == pytest.approx(heights, nan_ok=True)
        assert kept.footprint_id_N.tolist() == list(range(1, len(heights) + 1))
        assert kept.roofs is not None
        assert len(kept.roofs) == len(kept)

    def test_nothing_changes_without_one_and_at_zero(self) -> None:
        table = town()
        assert next(not_lower([table], None)) is table
        [same] = not_lower([table], 0.0)
        assert same.footprint_id_N.tolist() == table.footprint_id_N.tolist()

    def test_batches_do_not_matter_and_a_scene_keeps_one(self) -> None:
        table = town()
        pieces = [table[start : start + 2] for start in range(0, 11, 2)]
        found = list(not_lower(pieces, 13.0))
        numbers = np.concatenate([each.footprint_id_N for each in found])
        assert numbers.tolist() == [1, 2, 3, 4, 5]
        [empty] = not_lower([town(heights_m=[2.0] * 11)[:5], town(heights_m=[2.0] * 11)[5:]], 3)
        assert len(empty) == 0
        assert empty.source.has_roofs

    @pytest.mark.parametrize("height_min_m", [-1.0, float("nan"), float("inf")])
    def test_no_other_number_is_one(self, height_min_m: float) -> None:
        with pytest.raises(UsageError, match="--height-min 0 or more metres"):
            Choices(height_min_m=height_min_m)


class TestNotebook:
    @pytest.fixture
    def found(self) -> Detected:
        return Detected(town().source, [town()], {"scene": "town.tif"})

    def test_roofs_are_written_where_there_are_some(self, tmp_path: Path, found: Detected) -> None:
        assert found.write(tmp_path / "a.gpkg") == 11
        assert layers(tmp_path / "a.gpkg") == ["footprints", "roofs"]
        found.write(tmp_path / "b.gpkg", roofs=False, roofs_file=str(tmp_path / "r.fgb"))
        assert layers(tmp_path / "b.gpkg") == ["footprints"]
        assert layers(tmp_path / "r.fgb") == ["roofs"]

    def test_a_choice_holds_until_another_is_made(self, tmp_path: Path) -> None:
        found = Detected(town().source, [town()], {}, roofs=False)
        found.write(tmp_path / "a.gpkg")
        assert layers(tmp_path / "a.gpkg") == ["footprints"]
        found.write(tmp_path / "b.gpkg", roofs=True)
        assert layers(tmp_path / "b.gpkg") == ["footprints", "roofs"]

    def test_buildings_and_frames_have_heights(self, found: Detected) -> None:
        assert [each.height_m for each in found][:3] == [12.0, 3.5, None]
        assert found.__geo_interface__["features"][0]["properties"]["height_m"] == 12.0
        pytest.importorskip("geopandas", reason="GeoPandas is not installed")
        frame = found.to_geodataframe()
        assert frame["height_m"][0] == 12.0
        assert frame["height_source"].isna().tolist()[:3] == [False, False, True]

    def test_blocks(self, tmp_path: Path, found: Detected) -> None:
        assert found.write(tmp_path / "town.city.json") == 11


class TestModels:
    def card(self, **architecture: Any) -> Any:
        return SimpleNamespace(name="small", architecture=Architecture(**architecture))

    def test_roofs_are_asked_of_models_that_give_them(self) -> None:
        require_roofs(self.card(maps=FIVE_MAPS), ROOFS)
        with pytest.raises(ModelError, match="small gives no roofs and heights; leave out --roofs"):
            require_roofs(self.card(), ROOFS)


class TestJobs:
    def job(self, tmp_path: Path, **more: Any) -> Job:
        scenes = (SceneInput("a.tif"), SceneInput("b.tif"))
        return Job(inputs=scenes, choices=Choices(), output=tmp_path / "out.gpkg", **more)

    def test_the_file_of_roofs_is_checked_before_the_work(self, tmp_path: Path) -> None:
        (tmp_path / "roofs.gpkg").touch()
        with pytest.raises(OutputError, match=r"roofs\.gpkg exists"):
            self.job(tmp_path, roofs_file=tmp_path / "roofs.gpkg").check_places()
        job = replace(self.job(tmp_path), output=tmp_path / "out.csv", choices=Choices(roofs=True))
        with pytest.raises(OutputError, match=r"out\.csv holds one layer"):
            job.check_places()

    def test_fused_looks_have_no_roofs_to_ask_for(self, tmp_path: Path) -> None:
        job = self.job(tmp_path, overlap="fuse", roofs_file=tmp_path / "roofs.gpkg")
        with pytest.raises(UsageError, match="leave out --roofs-file, or take --overlap best-look"):
            job.check_places()
        with pytest.raises(UsageError, match="leave out --roofs,"):
            replace(job, roofs_file=None, choices=Choices(roofs=True)).check_places()

    def test_each_scene_has_roofs_of_its_own(self, tmp_path: Path) -> None:
        job = replace(
            self.job(tmp_path),
            output=tmp_path / "{scene}.gpkg",
            roofs_file=tmp_path / "{scene}-roofs.fgb",
        )
        files = [each.roofs_file for each in per_scene.each_scene(job)]
        assert files == [tmp_path / "a-roofs.fgb", tmp_path / "b-roofs.fgb"]
        with pytest.raises(UsageError, match=r"one\.fgb would hold one scene"):
            per_scene.each_scene(replace(job, roofs_file=tmp_path / "one.fgb"))

    def test_best_look_keeps_heights_and_roofs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = town()
        scene: Any = SimpleNamespace(plan=SimpleNamespace(source=found.source))
        monkeypatch.setattr(
            overlap, "_footprints", lambda scene: iter([none_of(found.source), found])
        )
        batches = list(overlap._uncovered(scene, []))
        assert [len(each) for each in batches] == [0, 11]
        assert all(each.source.has_roofs for each in batches)
        assert np.array_equal(batches[1].height_m_N, found.height_m_N, equal_nan=True)


class TestMerge:
    def test_options_choose_among_the_merged_buildings(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table, numbers = town(), count()

        def scene(kept: Any) -> Any:
            shaping = SimpleNamespace(source=table.source, grid=SimpleNamespace(crs=UTM))
            return SimpleNamespace(
                shaping=shaping, parts=[], description={}, missing=list, here=set
            )

        monkeypatch.setattr(merge_module.partstore, "begun", lambda place: True)
        monkeypatch.setattr(merge_module, "_scenes", lambda stores: [scene(None)])
        monkeypatch.setattr(merge_module, "merged", lambda results, shaping: iter([table]))
        place = FolderPlace(tmp_path / "parts")
        (tmp_path / "parts").mkdir()

        def merged(**options: Any) -> Path:
            output = tmp_path / f"out-{next(numbers)}.gpkg"
            merge_module.merge(merge_module.Merge((place,), output, **options), _Quiet())
            return output

        assert layers(merged()) == ["footprints", "roofs"]
        assert layers(merged(roofs=False, roofs_file=tmp_path / "r.fgb")) == ["footprints"]
        assert layers(tmp_path / "r.fgb") == ["roofs"]
        with fiona.open(merged(height_min_m=13.0), layer="roofs") as high:
            assert len(high) == 5


class _Quiet:
    def step(self, done: float, total: float, what: str) -> None: ...

    def cancelled(self) -> bool:
        return False


def test_the_worker_shows_the_same_options() -> None:
    choices = Choices(height_min_m=2.5, roofs=False, regularize=True)
    command = Request("extract", choices, scene="a.tif").command()
    assert command == (
        "snet4 run a.tif -o footprints.gpkg --regularize --height-min 2.5 --no-roofs"
    )


def test_maps_without_roofs_do_not_pass_for_a_layer_of_roofs(tmp_path: Path) -> None:
    plain: list[Footprints] = [town(has_roofs=False)]
    found = Detected(plain[0].source, plain, {}, roofs=True)
    with pytest.raises(InputError, match="leave out --roofs"):
        found.write(tmp_path / "a.gpkg")
