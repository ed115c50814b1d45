"""Attached buildings come apart, large ones stay whole, and nothing hangs on the block."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from snet4_training.judge import degraded_maps
from snet4core.labels import cuts, judge, packing, runs, seams, watershed
from snet4core.labels.labels import Labels
from snet4core.labels.morphology import depths, dilated, eroded
from snet4core.labels.seeds import seeds_of
from snet4core.maps.maps import Maps
from snet4core.settings import ShapeSettings, SplitSettings
from snet4core.windows import Window, blocks

GSD_M = 0.5
Image = NDArray[np.uint8]


def joined(footprint_HW: Image, border_HW: Image, row: int = 0, col: int = 0) -> Labels:
    """The components of one block that stands at (row, col) in a larger raster."""
    height, width = footprint_HW.shape
    window = Window(row, col, height, width)
    around = np.zeros((row + height + 3, col + width + 3), np.uint8)
    foot, edge = around.copy(), around.copy()
    foot[window.slices()], edge[window.slices()] = footprint_HW, border_HW
    whole = Window(0, 0, *around.shape)
    maps = Maps(whole, foot, edge, np.ones(whole.shape, np.bool_))
    return next(seams.complete_components([maps], whole.shape, 0.5))


def split(footprint_HW: Image, border_HW: Image, **chosen: float) -> Labels:
    found = watershed.split(joined(footprint_HW, border_HW), SplitSettings(**chosen), GSD_M)
    return found.at_home(Window(0, 0, *footprint_HW.shape))


def parts_of(found: Labels) -> set[bytes]:
    """The partition without its numbers: sorted pixel lists of every label."""
    return {
        np.flatnonzero(found.labels_HW == number).tobytes() for number in range(1, found.count + 1)
    }


def two_houses(gap_from: int = 0, gap_to: int = 0) -> tuple[Image, Image]:
    """Two houses of 20 x 30 px that share a wall, whose border is open in some rows."""
    footprint_HW = np.zeros((40, 60), np.uint8)
    footprint_HW[5:35, 8:52] = 250
    border_HW = np.zeros_like(footprint_HW)
    border_HW[5:35, [8, 51]] = border_HW[[5, 34], 8:52] = 160
    border_HW[5:35, 28:32] = 230
    border_HW[gap_from:gap_to, 28:32] = 0
    return footprint_HW, border_HW


# ---------------------------------------------------------------- promises


def test_a_shared_wall_gives_two_footprints() -> None:
    found = split(*two_houses())
    assert found.count == 2
    left, right = found.labels_HW[20, 15], found.labels_HW[20, 45]
    assert left != right
    assert (found.labels_HW > 0).sum() == 30 * 44


def test_a_border_that_broke_still_parts_two_houses() -> None:
    assert split(*two_houses(15, 20)).count == 2


def test_a_house_whose_border_map_is_silent_inside_stays_whole() -> None:
    footprint_HW, border_HW = two_houses()
    border_HW[6:34, 28:32] = 0
    assert split(footprint_HW, border_HW).count == 1


def test_the_worked_example_is_true() -> None:
    """The figures in the docstring of `watershed`."""
    found = watershed.oversegmented(joined(*two_houses(15, 20)), SplitSettings())
    assert found is not None
    [cut] = judge.features_CK(found.graph, GSD_M)
    said = dict(zip(judge.FEATURES, cut.round(2).tolist(), strict=True))
    assert (said["border_px"], said["open"], said["smaller_m2"]) == (2.03, 0.28, 7.37)
    assert judge.trained().log_odds_C(cut[None])[0] == pytest.approx(2.6, abs=0.1)
    footprint_HW = np.zeros((110, 150), np.uint8)
    footprint_HW[5:105, 5:145] = 250
    border_HW = np.zeros_like(footprint_HW)
    border_HW[4:106, [5, 6, 143, 144]] = 200
    border_HW[[5, 6, 103, 104], 5:145] = 200
    border_HW[5:105, 70:73] = 190
    found = watershed.oversegmented(joined(footprint_HW, border_HW), SplitSettings())
    assert found is not None
    [cut] = judge.features_CK(found.graph, GSD_M)
    assert judge.trained().log_odds_without_costs(cut[None])[0] == pytest.approx(1.6, abs=0.1)
    assert judge.trained().log_odds_C(cut[None])[0] == pytest.approx(-9.0, abs=0.1)


def test_without_any_border_map_a_plain_house_stays_whole() -> None:
    footprint_HW, _ = two_houses()
    assert split(footprint_HW, np.zeros_like(footprint_HW)).count == 1


def test_a_hall_under_a_broken_ridge_stays_whole() -> None:
    footprint_HW = np.zeros((110, 150), np.uint8)
    footprint_HW[5:105, 5:145] = 250
    border_HW = np.zeros_like(footprint_HW)
    border_HW[4:106, [5, 6, 143, 144]] = 200
    border_HW[[5, 6, 103, 104], 5:145] = 200
    border_HW[5:80, 70:73] = 150
    assert split(footprint_HW, border_HW).count == 1


@pytest.mark.parametrize("seed", [11, 12])
def test_terraces_come_apart(seed: int) -> None:
    block = degraded_maps.terraces(seed, shape=(500, 500))
    footprint_HW = degraded_maps.footprint_map(block, 1.0, seed=seed)
    border_HW = degraded_maps.border_map(block, seed=seed)
    before = joined(footprint_HW, border_HW).at_home(Window(0, 0, 500, 500))
    after = split(footprint_HW, border_HW)
    assert found_again(before.labels_HW, block) < 0.1
    assert found_again(after.labels_HW, block) > 0.75


def found_again(labels_HW: NDArray[np.int32], block: degraded_maps.Block) -> float:
    """Share of the buildings that some label meets with IoU above 0.5."""
    truth_HW = degraded_maps.labels_of(block)
    both = np.bincount(
        truth_HW.ravel() * np.int64(labels_HW.max() + 1) + labels_HW.ravel(),
        minlength=(block.polygons.size + 1) * (labels_HW.max() + 1),
    ).reshape(block.polygons.size + 1, -1)
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    return float(((both / union)[1:, 1:].max(axis=1) > 0.5).mean())


def test_a_lower_probability_never_cuts_less() -> None:
    block = degraded_maps.terraces(13, shape=(400, 400))
    maps = (
        degraded_maps.footprint_map(block, 1.0),
        degraded_maps.border_map(block, degraded_maps.POOR),
    )
    counts = [split(*maps, cut_probability=asked).count for asked in (0.99, 0.5, 0.01)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_certainty_takes_every_cut_back_and_none() -> None:
    maps = two_houses()
    assert split(*maps, cut_probability=1.0).count == 1
    assert split(*maps, cut_probability=0.0).count >= 2


# ---------------------------------------------------------------- laws


@st.composite
def maps_pairs(draw: st.DrawFn) -> tuple[Image, Image]:
    """Blobs with borders anywhere: every shape a network could give, and more."""
    seed, height, width = (draw(st.integers(*span)) for span in ((0, 10**6), (12, 60), (12, 60)))
    rng = np.random.default_rng(seed)
    rough = draw(st.sampled_from([1.0, 2.0, 4.0]))
    footprint = ndimage.gaussian_filter(rng.standard_normal((height, width)), rough) * rough * 3
    border = ndimage.gaussian_filter(rng.standard_normal((height, width)), rough / 2) * rough * 1.5
    level = draw(st.floats(-1.0, 1.0))
    scaled = [np.clip((each + level) * 128 + 128, 0, 255) for each in (footprint, border)]
    return scaled[0].astype(np.uint8), scaled[1].astype(np.uint8)


def partition(
    footprint_HW: Image, border_HW: Image, block_px: int, asked: float
) -> set[tuple[tuple[int, int], ...]]:
    """Every part as its pixels in the raster, found in blocks of one size."""
    height, width = footprint_HW.shape
    stream = (
        Maps(w, footprint_HW[w.slices()], border_HW[w.slices()], np.ones(w.shape, np.bool_))
        for w in blocks((height, width), block_px)
    )
    found = set()
    for each in seams.complete_components(stream, (height, width), 0.5):
        parts = watershed.split(each, SplitSettings(cut_probability=asked), GSD_M)
        for number in range(1, parts.count + 1):
            rows, cols = np.nonzero(parts.labels_HW == number)
            row, col = parts.origin_N2[number].tolist()
            found.add(tuple(zip((rows + row).tolist(), (cols + col).tolist(), strict=True)))
    return found


def any_labels(maps: tuple[Image, Image], row: int = 0, col: int = 0) -> Labels | None:
    try:
        return joined(*maps, row, col)
    except StopIteration:
        return None


@settings(deadline=None, max_examples=60)
@given(maps_pairs(), st.sampled_from([0.0, 0.2, 0.5]))
def test_the_foreground_stays_and_parts_are_connected(
    maps: tuple[Image, Image], asked: float
) -> None:
    before = any_labels(maps)
    if before is None:
        return
    after = watershed.split(before, SplitSettings(cut_probability=asked), GSD_M)
    assert np.array_equal(after.labels_HW > 0, before.labels_HW > 0)
    assert set(np.unique(after.labels_HW)) - {0} == set(range(1, after.count + 1))
    for number in range(1, after.count + 1):
        mask_HW = after.labels_HW == number
        assert ndimage.label(mask_HW)[1] == 1
        assert len(np.unique(before.labels_HW[mask_HW])) == 1


@settings(deadline=None, max_examples=40)
@given(maps_pairs(), st.sampled_from([5, 7, 16, 33]), st.sampled_from([0.1, 0.5]))
def test_blocks_of_any_size_give_the_same_parts(
    maps: tuple[Image, Image], block_px: int, asked: float
) -> None:
    assert partition(*maps, block_px, asked) == partition(*maps, max(maps[0].shape), asked)


@pytest.mark.parametrize("make", [degraded_maps.terraces, degraded_maps.halls])
def test_company_plays_no_part(
    make: Callable[..., degraded_maps.Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many components at once, each in what its blocks leave of its neighbours, few a sheet."""
    block = make(21, shape=(400, 400))
    footprint_HW = degraded_maps.footprint_map(block, 2.0, noise=0.05)
    border_HW = degraded_maps.border_map_with_ridges(block, degraded_maps.POOR)
    together = partition(footprint_HW, border_HW, 400, 0.1)
    assert len(together) > block.polygons.size / 2
    for block_px in (37, 101, 256):
        assert partition(footprint_HW, border_HW, block_px, 0.1) == together
    for sheet_px in (1, 5000):
        monkeypatch.setattr(packing, "SHEET_PX", sheet_px)
        assert partition(footprint_HW, border_HW, 400, 0.1) == together


@settings(deadline=None, max_examples=30)
@given(maps_pairs(), st.integers(0, 40), st.integers(0, 40))
def test_the_place_in_the_raster_plays_no_part(
    maps: tuple[Image, Image], row: int, col: int
) -> None:
    here, there = any_labels(maps), any_labels(maps, row, col)
    if here is None or there is None:
        return
    wanted = SplitSettings(cut_probability=0.2)
    one, other = (
        watershed.split(each, wanted, GSD_M).at_home(Window(*at, *maps[0].shape)).labels_HW
        for each, at in ((here, (0, 0)), (there, (row, col)))
    )
    assert np.array_equal(one, other)


def test_the_same_parts_in_another_process() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]);"
        "from snet4_training.judge import degraded_maps as degraded; import test_watershed as t;"
        "b = degraded.terraces(3, shape=(300, 300));"
        "f = t.split(degraded.footprint_map(b, 1.0), degraded.border_map(b));"
        "print(hashlib.sha256(f.labels_HW.tobytes()).hexdigest())"
    )
    ran = [
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "PATH": "/usr/bin"},
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    ]
    assert ran[0] == ran[1]


def test_nothing_in_nothing_out() -> None:
    empty = np.zeros((4, 4), np.uint8)
    before = Labels.of_image(empty.astype(np.int32), empty, empty)
    assert watershed.split(before, SplitSettings(), GSD_M) is before


# ---------------------------------------------------------------- seeds, sheets, cuts


def test_a_dumbbell_has_two_seeds() -> None:
    strong_HW = np.zeros((20, 40), np.bool_)
    strong_HW[3:17, 3:17] = strong_HW[3:17, 23:37] = strong_HW[8:12, 17:23] = True
    seeds_HW = seeds_of(strong_HW).painted()
    assert seeds_HW.max() == 2
    assert seeds_HW[10, 10] != seeds_HW[10, 30]
    assert seeds_HW[10, 20] == 0


def test_a_disc_has_one_seed_however_far_it_is_eroded() -> None:
    rows, cols = np.indices((41, 41)) - 20
    seeds_HW = seeds_of(rows**2 + cols**2 <= 15**2).painted()
    assert seeds_HW.max() == 1


def test_wearing_and_growing_are_duals() -> None:
    rng = np.random.default_rng(0)
    mask_HW = np.pad(rng.random((30, 30)) < 0.7, 1)
    for step, shape in (
        ("cross", ndimage.generate_binary_structure(2, 1)),
        ("square", np.ones((3, 3))),
    ):
        assert np.array_equal(eroded(mask_HW, step), ndimage.binary_erosion(mask_HW, shape))
        assert np.array_equal(dilated(mask_HW, step), ndimage.binary_dilation(mask_HW, shape))


def test_depth_counts_from_the_rim() -> None:
    mask_HW = np.zeros((9, 9), np.bool_)
    mask_HW[1:8, 1:8] = True
    assert depths(mask_HW, 3)[4].tolist() == [0, 1, 2, 3, 3, 3, 2, 1, 0]


def test_a_sheet_holds_every_chosen_pixel_once_and_apart() -> None:
    rng = np.random.default_rng(5)
    block = joined(
        (ndimage.gaussian_filter(rng.standard_normal((90, 90)), 2) > 0.05).astype(np.uint8) * 200,
        np.zeros((90, 90), np.uint8),
    )
    chosen_N = np.arange(block.count + 1) % 2 == 1
    laid_on = packing.sheet_of(runs.of_labels(block.labels_HW), block.labels_HW.shape[1], chosen_N)
    laid_HW = laid_on.laid(block.labels_HW)
    assert len(set(laid_on.place_P.tolist())) == laid_on.place_P.size
    for number in np.flatnonzero(chosen_N):
        mask_HW = laid_HW == number
        assert mask_HW.sum() == (block.labels_HW == number).sum()
        near_HW = ndimage.binary_dilation(mask_HW, np.ones((3, 3)))
        assert set(np.unique(laid_HW[near_HW])) <= {0, number}
        assert ndimage.label(mask_HW)[1] == 1


def test_a_cut_is_measured_as_by_hand() -> None:
    """Two squares of 6 x 6, a column of border between them; hand-worked."""
    regions_HW = np.zeros((8, 16), np.int32)
    regions_HW[1:7, 1:8], regions_HW[1:7, 8:15] = 1, 2
    strength_HW = np.where(regions_HW > 0, 255, 0).astype(np.uint8)
    strength_HW[1:7, 7] = 0  # one fully weak column, in the left region
    body_HW = (strength_HW > 0) & (regions_HW > 0)
    laid_on = packing.sheet_of(
        runs.of_labels((regions_HW > 0).astype(np.int32)), 16, np.array([False, True])
    )
    # The sheet has a pixel of background around it, as the block has here.
    assert laid_on.shape == (8, 16)
    border_HW = np.where(regions_HW > 0, 255 - strength_HW, 0).astype(np.uint8)
    graph = cuts.region_graph(regions_HW, body_HW, strength_HW, border_HW, laid_on)
    assert (graph.one_C.tolist(), graph.two_C.tolist()) == ([1], [2])
    assert graph.lengths_C().tolist() == [6.0]
    assert graph.moments_R6[1:, 0].tolist() == [42.0, 42.0]
    # From column 6 to column 8 in 13 points of 1/6 px: the 6 from 1/2 px on lie in column 7,
    # which is .95 weak; the way is 2 px long.
    features = dict(zip(judge.FEATURES, judge.features_CK(graph, 1.0)[0], strict=True))
    assert features["border_px"] == pytest.approx(0.95 * 6 / 13 * 2)
    assert features["smaller_m2"] == features["larger_m2"] == pytest.approx(np.log2(42))
    assert features["length_m"] == pytest.approx(np.log2(6))
    assert features["both_full"] == pytest.approx(1)
    assert features["regions"] == 1  # two, as log2
    assert features["component_m2"] == pytest.approx(np.log2(84))
    assert features["usual_m2"] == pytest.approx(np.log2(42))
    assert features["usual_border"] == features["border_to_2_px"]
    joined_up, _ = graph.merged(np.array([True]))
    assert joined_up.moments_R6[:, 0].tolist() == [0, 84, 0]


def test_merging_adds_up() -> None:
    block = degraded_maps.terraces(4, shape=(300, 300))
    before = joined(degraded_maps.footprint_map(block, 1.0), degraded_maps.border_map(block))
    found = watershed.oversegmented(before, SplitSettings())
    assert found is not None
    graph = found.graph
    chosen_C = watershed.locally_weakest(graph, np.arange(graph.one_C.size, dtype=float))
    merged, into_R = graph.merged(chosen_C)
    assert merged.moments_R6[np.unique(into_R)].sum(axis=0) == pytest.approx(
        graph.moments_R6.sum(axis=0)
    )
    assert merged.one_C.size <= graph.one_C.size - chosen_C.sum()
    assert not np.any(np.isin(merged.two_C, graph.two_C[chosen_C]))


# ---------------------------------------------------------------- the judge


def test_the_judge_comes_with_the_features_of_this_version() -> None:
    made = judge.trained()
    assert made.mean_K.shape == (len(judge.FEATURES),)
    assert all(layers[-1][0].shape[1] == 1 for layers in made.members)


def test_one_cut_is_judged_as_among_many() -> None:
    rng = np.random.default_rng(1)
    made = judge.trained()
    features = made.mean_K + made.spread_K * rng.standard_normal((200, len(judge.FEATURES)))
    together = made.log_odds_C(features)
    alone = np.concatenate([made.log_odds_C(features[i : i + 1]) for i in range(200)])
    assert np.array_equal(together, alone)


def test_halls_and_blind_maps_ask_for_more() -> None:
    made = judge.trained()
    plain = made.mean_K[None].copy()
    plain[0, judge.FEATURES.index("rim")] = 1.0
    plain[0, judge.FEATURES.index("smaller_m2")] = np.log2(60)
    plain[0, judge.FEATURES.index("larger_m2")] = np.log2(100)
    assert judge.costs_C(plain)[0] == 0
    blind, hall = plain.copy(), plain.copy()
    blind[0, judge.FEATURES.index("rim")] = 0.0
    hall[0, judge.FEATURES.index("smaller_m2")] = np.log2(judge.LARGE_M2 * 2)
    hall[0, judge.FEATURES.index("larger_m2")] = np.log2(judge.LARGE_M2 * 2)
    assert judge.costs_C(blind)[0] == judge.NO_BORDER_COST
    assert judge.costs_C(hall)[0] == pytest.approx(judge.LARGE)


def test_a_judge_survives_its_file() -> None:
    from snet4_training.judge import __main__

    made = judge.trained()
    again = judge.from_json(__main__.as_json(made))
    assert np.array_equal(again.mean_K, made.mean_K)
    assert all(
        np.array_equal(a, b)
        for one, other in zip(again.members, made.members, strict=True)
        for this, that in zip(one, other, strict=True)
        for a, b in zip(this, that, strict=True)
    )


def test_a_cut_is_worth_what_it_finds() -> None:
    """Two halves of a house, then two houses; hand-worked."""
    from snet4_training.judge import __main__, lessons

    footprint_HW, border_HW = two_houses()
    maps = Maps(Window(0, 0, 40, 60), footprint_HW, border_HW, np.ones((40, 60), np.bool_))
    left, right, both = (shapely.box(x, 5, to, 35) for x, to in ((8, 30), (30, 52), (8, 52)))

    def worth(*polygons: shapely.Polygon) -> float:
        block = degraded_maps.Block("two", np.array(polygons, object), (40, 60))
        [lesson] = lessons.lesson(block, [maps], ShapeSettings())
        assert lesson.size_T[1:].tolist() == [polygon.area for polygon in polygons]
        [features], [stands], [weight] = __main__.examples(lesson, lambda cuts: np.ones(len(cuts)))
        assert features.size == len(judge.FEATURES)
        return float(weight if stands else -weight)

    # Apart, each half covers half of the house: found by half. As one, it is found for sure.
    surely = 1 / (1 + np.exp(-0.5 / __main__.FOUND_SPREAD))
    assert worth(both) == pytest.approx(0.5 - surely - __main__.FOOTPRINT_PRICE)
    assert worth(left, right) == pytest.approx(2 * surely - 0.5 - __main__.FOOTPRINT_PRICE)


def test_a_lesson_of_roofs_is_about_the_maps_of_roofs() -> None:
    from snet4_training.judge import lessons

    roof_HW, border_HW = two_houses()
    nothing_HW = np.zeros_like(roof_HW)
    window, valid_HW = Window(0, 0, 40, 60), np.ones((40, 60), np.bool_)
    maps = Maps(window, nothing_HW, nothing_HW, valid_HW, roof_HW, border_HW, nothing_HW)
    house = np.array([shapely.box(8, 5, 52, 35)], object)
    block = degraded_maps.Block("two", house, (40, 60))
    assert not list(lessons.lesson(block, [maps], ShapeSettings()))
    [lesson] = lessons.lesson(block, [maps], ShapeSettings(), 0.4, of_roofs=True)
    assert lesson.shared_NT[:, 1].sum() > 1000
    assert lesson.gsd_m == 0.4


def test_validation_chips_give_lessons_in_their_own_pixel_size(tmp_path: Path) -> None:
    """Two houses wall to wall, as one who knows the answer maps them."""
    from helpers import training
    from snet4_training.judge import lessons
    from snet4_training.validation.card import card_of
    from snet4_training.validation.validate import judged

    recipe = training.small_recipe(tmp_path, ['model.bands=["blue", "green"]'])
    chip = replace(training.chip_of(training.WALL_TO_WALL), gsd_m=0.7)
    store = training.store_of(tmp_path / "s", [chip])
    card = card_of(recipe)
    seen = judged(training.Oracle(), card, recipe, store)  # type: ignore[arg-type]
    [lesson] = lessons.chip_lessons(seen, card)
    assert lesson.gsd_m == 0.7
    sizes = [house.area for house in training.WALL_TO_WALL]
    assert lesson.size_T[1:].tolist() == pytest.approx(sizes, rel=0.05)
    assert len(lesson.shared_NT) > 1


def test_a_judge_can_be_trained_and_beats_chance() -> None:
    from snet4_training.judge import __main__, lessons

    pool = list(lessons.degraded_lessons(3, 4, []))
    made = __main__.trained([pool], steps=60)
    features, stands, weight = __main__.examples(pool[0], None)
    right = (made.log_odds_without_costs(features) > 0) == stands
    always, never = weight[stands].sum(), weight[~stands].sum()
    assert weight[right].sum() > max(always, never)
    assert json.loads(__main__.as_json(made))["features"] == list(judge.FEATURES)


def test_a_network_gives_lessons_of_places_that_tests_do_not_see() -> None:
    from snet4_training.judge import lessons
    from snet4core.maps.predictor import Predictor
    from snet4core.maps.runtime import choose_runtime
    from snet4core.model.header import find_model

    predictor = Predictor(find_model("default"), choose_runtime(engine="torch"))
    found = list(lessons.seen_lessons(1, 1, predictor))
    assert 1 <= len(found) <= 3  # one look of each category, if anything hangs together
    for one in found:
        assert one.shared_NT.shape == (len(one.graph.moments_R6), one.size_T.size)
        assert np.all(one.shared_NT.sum(axis=1) <= one.graph.moments_R6[:, 0])
        assert np.all(one.shared_NT.sum(axis=0)[1:] <= one.size_T[1:])
        assert one.shared_NT.any()
