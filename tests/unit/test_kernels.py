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
from snet4core.labels import flood, runs
from snet4core.labels.labels import packed
from snet4core.labels.packing import boxes_of
from snet4core.maps.feet import _grown, heights_by_feet
from snet4core.outlines import rings, simplify
from snet4core.scene.radiometry import BandRange, normalise

pytestmark = pytest.mark.skipif(
    not kernels.compiled(),
    reason="the kernels are not compiled here: python setup.py build_ext --inplace",
)

seeds = st.integers(0, 2**32 - 1)


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


@given(seeds, st.floats(0, 3000), st.floats(1, 40_000))
def test_normalised_pictures(seed: int, low: float, spread: float) -> None:
    counts_BHW = np.random.default_rng(seed).integers(0, 1 << 16, (2, 90, 33), np.uint16)
    valid_HW = noise(seed, 90, 33) > 0.4
    ranges = (BandRange(low, low + spread), None)
    quick, plain = both(lambda: normalise(counts_BHW, valid_HW, ranges))
    assert quick.tobytes() == plain.tobytes()


def test_what_would_reach_beyond_an_image_is_refused() -> None:
    image_HW, two = np.zeros((3, 4), np.int32), np.array([2])
    with pytest.raises(IndexError):
        kernels.take_runs(image_HW, np.array([11]), two)
    with pytest.raises(IndexError):
        kernels.fill_runs(image_HW, np.array([-1]), two, np.array([1], np.int32))
    with pytest.raises(ValueError, match="As many"):
        kernels.put_runs(image_HW, np.array([0]), two, np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="rim"):
        kernels.flooded(np.zeros((3, 3), np.uint8), np.zeros((3, 3), np.int32), 2)
