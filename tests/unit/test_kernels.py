"""What is compiled gives what numpy gives, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from snet4core import kernels
from snet4core.labels import flood, morphology, runs
from snet4core.labels.labels import Labels, packed
from snet4core.labels.packing import boxes_of
from snet4core.maps.feet import _grown, _numbered, _Segments, _with_heights, heights_by_feet
from snet4core.maps.scales import quantised
from snet4core.outlines import outline, rings, simplify
from snet4core.outlines.fitting import Stairs, sides_between
from snet4core.scene.radiometry import BandRange, normalise
from snet4core.scene.resample import resized

pytestmark = pytest.mark.skipif(
    not kernels.compiled(),
    reason="the kernels are not compiled here: python setup.py build_ext --inplace",
)

seeds = st.integers(0, 2**32 - 1)


def test_what_was_compiled_from_other_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `git pull`: its functions may be missing, or do another thing."""
    now = kernels._kernels
    assert not kernels._of_other_source(now)
    assert kernels._of_other_source(object())  # of before it said so
    monkeypatch.setattr(now, "SOURCE_SHA256", "0" * 64)
    assert kernels._of_other_source(now)
    monkeypatch.setattr(kernels, "__file__", "/nowhere/kernels.py")  # a wheel, without the source
    assert not kernels._of_other_source(now)


def both(work: Callable[[], Any]) -> tuple[Any, Any]:
    """The result with the kernels, and without."""
    quick = work()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_kernels", None)
        return quick, work()


def assert_equal(quick: Any, plain: Any) -> None:
    """Every array has the same type and the same bytes."""
    for each in fields(plain):
        one, two = np.asarray(getattr(quick, each.name)), np.asarray(getattr(plain, each.name))
        assert one.dtype == two.dtype, each.name
        assert one.tolist() == two.tolist(), each.name


def noise(seed: int, rows: int = 40, cols: int = 37) -> np.ndarray:
    """Blobs of noise, 0..1."""
    rough = np.random.default_rng(seed).random((rows, cols))
    return ndimage.gaussian_filter(rough, 1) + 0.1 * (rough - 0.5)


def some_labels(seed: int) -> np.ndarray:
    """Whole labels that touch each other, with holes."""
    values = np.digitize(noise(seed), [0.42, 0.5, 0.56])
    found = np.zeros(values.shape, np.int32)
    for value in (1, 2, 3):
        pieces, _ = ndimage.label(values == value)
        found = np.where(pieces > 0, pieces + found.max(), found)
    return found.astype(np.int32)


@given(seeds, st.floats(0.1, 0.9))
def test_runs(seed: int, share: float) -> None:
    mask_HW = np.random.default_rng(seed).random((17, 23)) < share
    (quick, count), (plain, plain_count) = both(lambda: runs.components(mask_HW))
    assert count == plain_count
    assert_equal(quick, plain)
    assert_equal(*both(lambda: runs.of_labels(some_labels(seed))))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("full", [False, True])
def test_runs_of_thin_and_of_empty_masks(shape: tuple[int, int], full: bool) -> None:
    (quick, count), (plain, plain_count) = both(lambda: runs.components(np.full(shape, full)))
    assert count == plain_count == full
    assert_equal(quick, plain)


@given(seeds)
def test_sheets(seed: int) -> None:
    found, count = runs.components(noise(seed) > 0.5)
    image_HW = np.random.default_rng(seed).integers(0, 256, (40, 37), np.uint8)
    box_N4 = boxes_of(found, count)
    if count:
        assert_equal(*both(lambda: packed(found, box_N4, [found.values(image_HW)] * 2)))


@given(seeds)
def test_a_flood(seed: int) -> None:
    level_HW = np.pad((noise(seed) * 14).astype(np.uint8), 1, constant_values=12)
    spots_HW = np.random.default_rng(seed).random(level_HW.shape) < 0.03
    sources_HW = (np.cumsum(spots_HW).reshape(level_HW.shape) * spots_HW).astype(np.int32)
    sources_HW[[0, -1]] = sources_HW[:, [0, -1]] = 0
    quick, plain = both(lambda: flood.flooded(level_HW, sources_HW, 12))
    assert quick.tobytes() == plain.tobytes()


@given(seeds)
def test_rings_and_the_corners_that_stay(seed: int) -> None:
    labels_HW = some_labels(seed)
    quick, plain = both(lambda: rings.trace(labels_HW))
    assert_equal(quick, plain)
    for tolerance in (0.0, 0.5, 1.5, 2.5):
        limit_E = np.full(plain.x_E.size, tolerance)
        quick_E, plain_E = both(lambda limit_E=limit_E: simplify.douglas_peucker(plain, limit_E))
        assert quick_E.tobytes() == plain_E.tobytes()


@given(seeds, st.sampled_from([0.5, 1.5]))
def test_sides_that_continue_each_other(seed: int, tolerance: float) -> None:
    found = rings.trace(some_labels(seed))
    limit_E = np.full(found.x_E.size, tolerance)
    kept_E = simplify.douglas_peucker(found, limit_E)
    kept_E |= (np.add.reduceat(kept_E.astype(int), found.first_R[:-1]) < 3)[found.ring_E]
    stairs, sides = Stairs.of(found), sides_between(found, kept_E)
    locked_E = found.joint_E
    assert_equal(*both(lambda: simplify.collinear_merged(stairs, sides, limit_E, locked_E)))


def test_stairs_without_a_direction_are_off_by_no_number() -> None:
    around = np.array([[1, 4, 0, 4], [1, 1, 0, 4], [3, 0, 0, 4]])
    x_E, y_E = np.array([0, 3, 3, 0]), np.array([0, 0, 2, 2])
    assert np.isnan(kernels.missed(x_E, y_E, np.zeros((6, 5), np.int64), around)).all()


@given(seeds)
def test_mean_footprints(seed: int) -> None:
    labels_HW = some_labels(seed)
    footprint_HW = np.random.default_rng(seed).integers(0, 256, labels_HW.shape, np.uint8)
    labels = Labels.of_image(labels_HW, footprint_HW, footprint_HW)
    area_px_N = np.bincount(labels_HW.ravel(), minlength=labels.count + 1)[1:]
    quick_N, plain_N = both(lambda: outline._mean_footprint(labels, area_px_N))
    assert quick_N.tobytes() == plain_N.tobytes()


@given(seeds)
def test_median_heights(seed: int) -> None:
    labels_HW = some_labels(seed)
    height_HW = np.random.default_rng(seed).integers(0, 256, labels_HW.shape, np.uint8)
    for at_once in (outline.AT_ONCE, 2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outline, "AT_ONCE", at_once)
            quick, plain = both(lambda: outline._median_heights(labels_HW, height_HW))
        assert quick.tobytes() == plain.tobytes()


@given(seeds, st.floats(0.5, 1), st.integers(0, 9), st.integers(0, 40))
def test_eroded_masks(seed: int, share: float, rows: int, cols: int) -> None:
    mask_HW = np.random.default_rng(seed).random((rows, cols)) < share
    for step in ("square", "cross"):
        quick, plain = both(lambda step=step: morphology.eroded(mask_HW, step))
        assert (quick.dtype, quick.tolist()) == (plain.dtype, plain.tolist())


@given(seeds, st.floats(-3, 3), st.floats(-3, 3))
def test_heights(seed: int, across: float, down: float) -> None:
    maps_MHW = np.stack([noise(seed + each, 70, 61) * 255 for each in range(5)]).astype(np.uint8)
    quick, plain = both(lambda: heights_by_feet(maps_MHW, (across, down)))
    assert quick.tobytes() == plain.tobytes()


@given(seeds)
def test_grown_segments(seed: int) -> None:
    labels_HW = some_labels(seed) * (noise(seed + 1) > 0.55)
    for steps in (1, 3):
        quick, plain = both(lambda steps=steps: _grown(labels_HW.astype(np.int32), steps))
        assert quick.tobytes() == plain.tobytes()


@given(seeds)
def test_segments_one_after_the_other(seed: int) -> None:
    (quick_HW, count), (plain_HW, plain_count) = both(lambda: _numbered(noise(seed) > 0.5))
    assert (quick_HW.tobytes(), count) == (plain_HW.tobytes(), plain_count)
    grown_HW = _grown(plain_HW, 1) * (noise(seed + 1) > 0.45)  # some have no pixels
    assert_equal(*both(lambda: _Segments.of(grown_HW, count)))


@given(seeds, st.integers(2, 9), st.integers(2, 9))
def test_painted_heights(seed: int, rows: int, cols: int) -> None:
    chance = np.random.default_rng(seed)
    maps_MHW = chance.integers(0, 256, (2, rows, cols), np.uint8)
    segments_HW = chance.integers(0, 4, (rows // 2, cols // 2), np.int32)
    value_S = chance.integers(0, 256, 3, np.uint8)
    before = maps_MHW.tobytes()
    quick, plain = both(lambda: _with_heights(maps_MHW, segments_HW, value_S))
    assert quick.tobytes() == plain.tobytes()
    assert maps_MHW.tobytes() == before


@given(seeds, st.integers(0, 9))
def test_segments_slid_by_any_number_of_candidates(seed: int, candidates: int) -> None:
    chance = np.random.default_rng(seed)
    roofs = _Segments.of(some_labels(seed), int(some_labels(seed).max()))
    steps_KS2 = chance.integers(-9, 10, (candidates, len(roofs.many_S), 2))
    map_HW, weight_HW = chance.integers(0, 1021, (2, 40, 37), np.int16)
    for weight in (weight_HW, None):
        quick, plain = both(lambda weight=weight: roofs.slid_sums(steps_KS2, map_HW, weight))
        assert (quick.dtype, quick.tolist()) == (plain.dtype, plain.tolist())


def test_a_segment_wider_than_its_products_fit_into_32_bits() -> None:
    map_HW = np.full((1, 5000), 1020, np.int16)
    segment = _Segments.of(np.ones((1, 5000), np.int32), 1)
    stays = np.zeros((1, 1, 2), np.int64)
    assert segment.slid_sums(stays, map_HW, map_HW).tolist() == [[5000 * 1020 * 1020]]


@given(seeds, st.floats(0, 3000), st.floats(1, 40_000))
def test_normalised_pictures(seed: int, low: float, spread: float) -> None:
    counts_BHW = np.random.default_rng(seed).integers(0, 1 << 16, (2, 90, 33), np.uint16)
    valid_HW = noise(seed, 90, 33) > 0.4
    ranges = (BandRange(low, low + spread), None)
    quick, plain = both(lambda: normalise(counts_BHW, valid_HW, ranges))
    assert quick.tobytes() == plain.tobytes()


ONE, TWO, FAR = np.array([1]), np.array([2]), np.array([1 << 62])
IMAGE_HW = np.zeros((3, 4), np.int32)
INK = np.zeros(2, np.int32)
SQUARES = INK.reshape(1, 2)
SQUARE = np.pad(np.ones((1, 1), np.int32), 1)
CORNERS, LIMITS = np.array([0, 1, 1, 0]), np.ones(4)
NONE = np.array([], np.int64)


def simplified(**other: Any) -> Callable[[], Any]:
    """A call with a ring of four corners, and one thing else."""
    given = {"x_E": CORNERS, "y_E": CORNERS[::-1], "joint_E": CORNERS > 0}
    given |= {"first_R": np.array([0, 4]), "tolerance_E": LIMITS} | other
    return lambda: kernels.simplified(**given)


def slid(**other: Any) -> Callable[[], Any]:
    """A call with a segment of two pixels, and one thing else."""
    given = {"runs": runs_at([0, 1], [0, 1], [1, 2]), "many_S": TWO}
    given |= {"steps_KS2": np.zeros((1, 1, 2), np.int64), "map_HW": np.ones((2, 3), np.int16)}
    given |= {"weight_HW": None} | other
    return lambda: kernels.slid_sums(**given)


def runs_at(row: list[int], start: list[int], stop: list[int]) -> tuple[np.ndarray, ...]:
    return np.array(row), np.array(start), np.array(stop)


def take(image: np.ndarray, first: np.ndarray, length: np.ndarray) -> Callable[[], Any]:
    return lambda: kernels.take_runs(image, first, length)


def put(
    first: np.ndarray, length: np.ndarray, value: np.ndarray, image: np.ndarray = IMAGE_HW
) -> Callable[[], Any]:
    return lambda: kernels.put_runs(image, first, length, value)


def fill(
    first: np.ndarray, length: np.ndarray, value: np.ndarray, image: np.ndarray = IMAGE_HW
) -> Callable[[], Any]:
    return lambda: kernels.fill_runs(image, first, length, value)


def flooded(level: np.ndarray, source: np.ndarray, top: int) -> Callable[[], Any]:
    return lambda: kernels.flooded(level, source, top)


def paint(image: np.ndarray, segments: np.ndarray = SQUARES, values: int = 1) -> Callable[[], Any]:
    return lambda: kernels.paint(image, segments, np.zeros(values, np.uint8))


def missed(*stretch: int, **other: Any) -> Callable[[], Any]:
    """A call with a stretch of a ring of four corners, or another, and one thing else."""
    given = {"x_E": CORNERS, "y_E": CORNERS[::-1], "sums_6E": np.zeros((6, 5), np.int64)}
    given |= {"stretches_C4": np.array([stretch or (2, 4, 0, 4)])} | other
    return lambda: kernels.missed(**given)


LEVELS, SOURCES = np.full((3, 3), 9, np.uint8), np.zeros((3, 3), np.int32)
ODD = np.frombuffer(bytearray(17), np.uint8)[1:].view(np.float32).reshape(2, 2)
"""Numbers that do not lie at multiples of their size."""

PICTURE = np.zeros((2, 4, 3), np.float32)

HARMFUL: dict[str, tuple[type[Exception], Callable[[], Any]]] = {
    "a mask without rows": (TypeError, lambda: kernels.components(np.zeros(4, np.bool_))),
    "a mask of numbers": (TypeError, lambda: kernels.components(IMAGE_HW)),
    "labels of three axes": (TypeError, lambda: kernels.runs_of_labels(IMAGE_HW[None])),
    "labels of 64 bits": (TypeError, lambda: kernels.runs_of_labels(IMAGE_HW.astype(np.int64))),
    "a run behind the end": (IndexError, take(IMAGE_HW, np.array([11]), TWO)),
    "a run before the start": (IndexError, take(IMAGE_HW, -ONE, TWO)),
    "a run backwards": (IndexError, take(IMAGE_HW, TWO, -ONE)),
    "a run to the end of all numbers": (IndexError, take(IMAGE_HW, FAR, FAR)),
    "a run of all numbers": (IndexError, take(IMAGE_HW, ONE, np.array([(1 << 63) - 1]))),
    "fewer lengths than runs": (ValueError, take(IMAGE_HW, np.array([0, 1, 2]), TWO)),
    "runs of fractions": (TypeError, take(IMAGE_HW, np.array([np.nan]), TWO)),
    "lengths of fractions": (TypeError, take(IMAGE_HW, ONE, np.array([np.nan]))),
    "runs of two axes": (ValueError, take(IMAGE_HW, ONE[None], TWO[None])),
    "an image of objects": (TypeError, take(np.full((3, 4), None), ONE, TWO)),
    "more values than pixels": (ValueError, put(ONE, TWO, np.zeros(3, np.int32))),
    "fewer values than pixels": (ValueError, put(ONE, TWO, INK[:1])),
    "values of another size": (TypeError, put(ONE, TWO, np.zeros(2, np.int64))),
    "put behind the end": (IndexError, put(np.array([11]), TWO, INK)),
    "put into every other row": (TypeError, put(ONE, TWO, INK, IMAGE_HW[::2])),
    "put into objects": (TypeError, put(ONE, TWO, INK, np.full((3, 4), None))),
    "filled behind the end": (IndexError, fill(np.array([11]), TWO, INK[:1])),
    "fewer values than runs": (ValueError, fill(np.array([0, 2]), np.array([1, 1]), INK[:1])),
    "filled with too large values": (TypeError, fill(ONE, TWO, np.zeros(1, np.int64))),
    "filled into bytes": (TypeError, fill(ONE, TWO, INK[:1], np.zeros((3, 4), np.uint8))),
    "filled into every other column": (TypeError, fill(ONE, TWO, INK[:1], IMAGE_HW[:, ::2])),
    "an open rim": (ValueError, flooded(np.zeros((3, 3), np.uint8), SOURCES, 2)),
    "sources of another shape": (ValueError, flooded(LEVELS, SOURCES[:2], 2)),
    "levels of one axis": (ValueError, flooded(LEVELS[0], SOURCES[0], 2)),
    "levels of 16 bits": (TypeError, flooded(LEVELS.astype(np.uint16), SOURCES, 2)),
    "a top above all levels": (ValueError, flooded(LEVELS[:, :0], SOURCES[:, :0], 70_000)),
    "a top below all levels": (ValueError, flooded(LEVELS, SOURCES, -1)),
    "sources of 64 bits": (TypeError, flooded(LEVELS, SOURCES.astype(np.int64), 2)),
    "labels without a rim above": (ValueError, lambda: kernels.trace(SQUARE[1:])),
    "labels without a rim below": (ValueError, lambda: kernels.trace(SQUARE[:2])),
    "labels without a rim at the left": (ValueError, lambda: kernels.trace(SQUARE[:, 1:])),
    "labels without a rim at the right": (ValueError, lambda: kernels.trace(SQUARE[:, :2])),
    "labels of one axis": (ValueError, lambda: kernels.trace(INK)),
    "labels of fractions": (TypeError, lambda: kernels.trace(np.zeros((3, 3)))),
    "fewer corners down than across": (ValueError, simplified(y_E=CORNERS[:2])),
    "fewer joints than corners": (ValueError, simplified(joint_E=CORNERS[:2] > 0)),
    "fewer limits than corners": (ValueError, simplified(tolerance_E=LIMITS[:2])),
    "a ring behind the last corner": (IndexError, simplified(first_R=np.array([0, 5]))),
    "a ring before the first corner": (IndexError, simplified(first_R=np.array([-1, 4]))),
    "no ends of rings": (IndexError, simplified(first_R=NONE)),
    "ends of rings in two axes": (IndexError, simplified(first_R=np.array([[0, 4]]))),
    "a ring of nothing": (ValueError, simplified(first_R=np.array([0, 0, 4]))),
    "rings backwards": (ValueError, simplified(first_R=np.array([0, 3, 2, 4]))),
    "corners of fractions": (TypeError, simplified(x_E=LIMITS)),
    "fewer rows than columns of corners": (ValueError, missed(y_E=CORNERS[:2])),
    "corners in two axes": (ValueError, missed(x_E=CORNERS[None], y_E=CORNERS[None])),
    "fewer sums than corners": (ValueError, missed(sums_6E=np.zeros((6, 4), np.int64))),
    "five sums": (ValueError, missed(sums_6E=np.zeros((5, 5), np.int64))),
    "sums of fractions": (TypeError, missed(sums_6E=np.zeros((6, 5)))),
    "stretches of fractions": (TypeError, missed(stretches_C4=np.ones((1, 4)))),
    "stretches of three numbers": (ValueError, missed(2, 4, 0)),
    "a stretch before its ring": (IndexError, missed(1, 4, 2, 4)),
    "a stretch from behind its ring": (IndexError, missed(2, 2, 0, 2)),
    "a stretch to before its ring": (IndexError, missed(2, 0, 1, 4)),
    "a stretch to behind its ring": (IndexError, missed(1, 4, 0, 3)),
    "a stretch of a ring before the first": (IndexError, missed(2, 4, -1, 4)),
    "a stretch of a ring behind the last": (IndexError, missed(2, 4, 0, 5)),
    "sums of other pixels": (
        ValueError,
        lambda: kernels.label_sums(IMAGE_HW, np.zeros((2, 4), np.uint8), 1),
    ),
    "sums of labels of 64 bits": (
        TypeError,
        lambda: kernels.label_sums(FAR[None], np.zeros((1, 1), np.uint8), 1),
    ),
    "sums of fewer than no labels": (
        ValueError,
        lambda: kernels.label_sums(IMAGE_HW, np.zeros((3, 4), np.uint8), -1),
    ),
    "heights of fewer pixels": (
        ValueError,
        lambda: kernels.middles(IMAGE_HW, np.zeros((2, 4), np.uint8), 1, 2),
    ),
    "heights of fractions": (TypeError, lambda: kernels.middles(IMAGE_HW, IMAGE_HW, 1, 2)),
    "labels backwards": (
        ValueError,
        lambda: kernels.middles(IMAGE_HW, np.zeros((3, 4), np.uint8), 3, 1),
    ),
    "an eroded mask of numbers": (TypeError, lambda: kernels.eroded(IMAGE_HW, True)),
    "an eroded mask of one axis": (TypeError, lambda: kernels.eroded(INK > 0, True)),
    "a map of one axis": (ValueError, slid(map_HW=np.ones(6, np.int16))),
    "a map of fractions": (TypeError, slid(map_HW=np.ones((2, 3)))),
    "a map of nothing": (IndexError, slid(map_HW=np.ones((0, 3), np.int16))),
    "weights of another shape": (ValueError, slid(weight_HW=np.ones((3, 2), np.int16))),
    "weights of fractions": (TypeError, slid(weight_HW=np.ones((2, 3)))),
    "fewer starts than runs": (ValueError, slid(runs=runs_at([0, 1], [0], [1, 2]))),
    "runs in two axes": (ValueError, slid(runs=(TWO[None],) * 3)),
    "a row behind the last": (IndexError, slid(runs=runs_at([0, 2], [0, 1], [1, 2]))),
    "a row before the first": (IndexError, slid(runs=runs_at([-1, 1], [0, 1], [1, 2]))),
    "a column before the first": (IndexError, slid(runs=runs_at([0, 1], [-1, 1], [1, 2]))),
    "a column behind the last": (IndexError, slid(runs=runs_at([0, 1], [0, 1], [1, 4]))),
    "a run of nothing": (IndexError, slid(runs=runs_at([0, 1], [0, 2], [1, 2]))),
    "steps for fewer segments": (ValueError, slid(steps_KS2=np.zeros((1, 0, 2), np.int64))),
    "steps of one number": (ValueError, slid(steps_KS2=np.zeros((1, 1, 1), np.int64))),
    "steps of two axes": (ValueError, slid(steps_KS2=np.zeros((1, 2), np.int64))),
    "a step too far": (IndexError, slid(steps_KS2=np.full((1, 1, 2), -(1 << 63)))),
    "a step too far ahead": (IndexError, slid(steps_KS2=np.full((1, 1, 2), (1 << 63) - 1))),
    "more runs in segments than there are": (
        ValueError,
        slid(many_S=np.array([2, 2]), steps_KS2=np.zeros((1, 2, 2), np.int64)),
    ),
    "fewer than no runs": (
        ValueError,
        slid(many_S=np.array([2, 1, -1]), steps_KS2=np.zeros((1, 3, 2), np.int64)),
    ),
    "as many runs as no number says": (
        ValueError,
        slid(many_S=np.repeat([1 << 62, 2], [4, 1]), steps_KS2=np.zeros((1, 5, 2), np.int64)),
    ),
    "squares of fractions": (TypeError, lambda: kernels.pooled(np.zeros((4, 4)))),
    "squares of one axis": (ValueError, lambda: kernels.pooled(np.zeros(4, np.uint8))),
    "segments of one axis": (TypeError, lambda: kernels.grown(INK, 1)),
    "segments of 64 bits": (TypeError, lambda: kernels.grown(SOURCES.astype(np.int64), 1)),
    "painted into fewer squares": (ValueError, paint(np.zeros((2, 2), np.uint8))),
    "painted into numbers": (TypeError, paint(np.zeros((2, 4), np.int32))),
    "painted into every other column": (TypeError, paint(np.zeros((2, 8), np.uint8)[:, ::2])),
    "painted with fewer values": (
        IndexError,
        paint(np.zeros((2, 4), np.uint8), np.full((1, 2), 2, np.int32)),
    ),
    "painted with values before the first": (
        IndexError,
        paint(np.zeros((2, 4), np.uint8), np.full((1, 2), -1, np.int32)),
    ),
    "painted by fractions": (TypeError, paint(np.zeros((2, 4), np.uint8), np.zeros((1, 2)))),
    "painted into one axis": (IndexError, paint(np.zeros(4, np.uint8), INK)),
    "fewer results than counts": (
        ValueError,
        lambda: kernels.scaled(
            np.zeros((3, 3), np.uint16), np.zeros((2, 3), np.float32), (0, 1, 0, 1, 0, 1)
        ),
    ),
    "results of 64 bits": (
        TypeError,
        lambda: kernels.scaled(np.zeros((2, 2), np.uint16), np.zeros((2, 2)), (0, 1, 0, 1, 0, 1)),
    ),
    "results at odd places": (
        TypeError,
        lambda: kernels.scaled(np.zeros((2, 2), np.uint16), ODD, (0, 1, 0, 1, 0, 1)),
    ),
    "an index beyond the axis": (
        IndexError,
        lambda: kernels.resampled(PICTURE, 1, np.array([[0, 4]]), np.ones((1, 2), np.float32)),
    ),
    "an index before the axis": (
        IndexError,
        lambda: kernels.resampled(PICTURE, 1, np.array([[-1, 0]]), np.ones((1, 2), np.float32)),
    ),
    "fewer weights than indices": (
        ValueError,
        lambda: kernels.resampled(PICTURE, 1, np.array([[0, 1]]), np.ones((1, 1), np.float32)),
    ),
    "no taps": (
        ValueError,
        lambda: kernels.resampled(PICTURE, 1, NONE.reshape(0, 2), np.ones((0, 2), np.float32)),
    ),
    "a picture of 64 bits": (
        TypeError,
        lambda: kernels.resampled(PICTURE * 1.0, 1, np.array([[0]]), np.ones((1, 1))),
    ),
    "probabilities of 64 bits": (TypeError, lambda: kernels.quantised(PICTURE * np.ones(1), 1)),
    "counts of fractions": (
        TypeError,
        lambda: kernels.scaled(np.zeros((2, 2)), np.zeros((2, 2), np.float32), (0, 1, 0, 1, 0, 1)),
    ),
}


@given(seeds, st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_pictures_are_resized_alike(seed: int, rows: int, cols: int, high: int, wide: int) -> None:
    picture = np.random.default_rng(seed).standard_normal((2, 3, rows, cols), np.float32)
    for each in (picture, picture.transpose(0, 1, 3, 2), picture[..., ::-1]):
        quick, plain = both(lambda each=each: resized(each, (high, wide)))
        assert quick.dtype == plain.dtype == np.float32
        assert quick.shape == plain.shape == (2, 3, high, wide)
        assert quick.tolist() == plain.tolist()


@given(seeds, st.integers(1, 4))
def test_probabilities_are_quantised_alike(seed: int, count: int) -> None:
    halves = np.arange(0, 255 * 2 + 4, dtype=np.float32) / np.float32(510) * count
    drawn = np.random.default_rng(seed).random(999, np.float32) * np.float32(1.2 * count)
    total = np.concatenate([halves, np.nextafter(halves, np.float32(9)), drawn])
    quick, plain = both(lambda: quantised(total, count))
    assert quick.dtype == plain.dtype == np.uint8
    assert quick.tolist() == plain.tolist()
    assert quantised(total[::-1], count).tolist() == quick[::-1].tolist()


@pytest.mark.parametrize("name", HARMFUL)
def test_what_would_reach_a_wrong_address_is_refused(name: str) -> None:
    kind, call = HARMFUL[name]
    with pytest.raises(kind):
        call()


def test_arrays_that_lie_otherwise_in_memory_are_read_right() -> None:
    labels_HW = some_labels(3)
    for other_HW in (
        np.asfortranarray(labels_HW),
        np.repeat(labels_HW, 2, axis=1)[:, ::2],
        labels_HW.astype(">i4"),
        np.frombuffer(b"." + labels_HW.tobytes(), np.uint8)[1:].view(np.int32).reshape(40, 37),
    ):
        assert_equal(runs.of_labels(other_HW), runs.of_labels(labels_HW))
        assert_equal(rings.trace(other_HW), rings.trace(labels_HW))
        assert _grown(other_HW, 2).tobytes() == _grown(labels_HW, 2).tobytes()
    mask_HW = labels_HW > 0
    assert_equal(runs.components(mask_HW.T.copy().T)[0], runs.components(mask_HW)[0])
    byte_HW = (noise(1) * 255).astype(np.uint8)
    assert kernels.pooled(byte_HW[::-1]).tolist() == kernels.pooled(byte_HW[::-1].copy()).tolist()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (2, 2)])
def test_empty_and_tiny_images(shape: tuple[int, int]) -> None:
    bytes_HW, labels_HW = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
    assert runs.components(bytes_HW > 0)[1] == runs.of_labels(labels_HW).row_R.size == 0
    assert kernels.trace(labels_HW)[4].tolist() == [0]
    assert kernels.flooded(bytes_HW, labels_HW, 0).tolist() == labels_HW.tolist()
    assert kernels.grown(labels_HW, 3).tolist() == labels_HW.tolist()
    assert kernels.eroded(labels_HW > 0, True).shape == shape
    assert kernels.middles(labels_HW, bytes_HW, 1, 1).shape == (0, 2)
    assert kernels.pooled(bytes_HW).shape == (shape[0] // 2, shape[1] // 2)
    assert kernels.label_sums(labels_HW, bytes_HW, 3).tolist() == [0, 0, 0]
    kernels.paint(bytes_HW, labels_HW[: shape[0] // 2, : shape[1] // 2], bytes_HW[:0].ravel())
    assert not bytes_HW.any()
    assert kernels.take_runs(labels_HW, NONE, NONE).size == 0
    out_HW = np.ones(shape, np.float32)
    kernels.scaled(bytes_HW, out_HW, (0, 1, 0, 1, 0, 1))
    assert not out_HW.any()
    none = kernels.simplified(NONE, NONE, NONE > 0, np.array([0]), NONE.astype(np.float64))
    assert none.size == 0
    map_HW, steps_KS2 = np.zeros(shape, np.int16), np.zeros((3, 0, 2), np.int64)
    assert kernels.slid_sums((NONE,) * 3, NONE, steps_KS2, map_HW, map_HW).size == 0
    assert kernels.missed(NONE, NONE, np.zeros((6, 1), np.int64), NONE.reshape(0, 4)).size == 0


def test_the_largest_labels_and_steps() -> None:
    largest = np.iinfo(np.int32).max
    labels_HW = np.pad(np.full((2, 2), largest, np.int32), 1)
    labels_HW[1, 1] = np.iinfo(np.int32).min
    assert_equal(*both(lambda: runs.of_labels(labels_HW)))
    assert_equal(*both(lambda: rings.trace(labels_HW)))
    quick, plain = both(lambda: _grown(labels_HW, 1))
    assert quick.tobytes() == plain.tobytes()
    level_HW = np.full((4, 4), 255, np.uint8)
    level_HW[1:3, 1:3] = [[0, 254], [3, 254]]
    sources_HW = np.zeros((4, 4), np.int32)
    sources_HW[1, 1] = largest
    quick, plain = both(lambda: flood.flooded(level_HW, sources_HW, 255))
    assert quick.tobytes() == plain.tobytes()
    assert (quick[1:3, 1:3] == largest).all()
    for step in (-(1 << 31), 1 << 31):
        assert slid(steps_KS2=np.full((1, 1, 2), step))().tolist() == [[2]]
