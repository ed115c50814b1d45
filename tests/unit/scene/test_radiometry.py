"""Counts to network input: robust, and the same for every gain of the sensor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snet4core.scene.radiometry import (
    HIGH_PERCENTILE,
    LOW_PERCENTILE,
    BandRange,
    band_range,
    normalise,
)

counts = hnp.arrays(np.uint16, st.integers(1, 300), elements=st.integers(0, 4000))


@given(counts)
def test_the_range_lies_within_the_counts_and_has_a_width(values: np.ndarray) -> None:
    limits = band_range(values)
    assert limits.low < limits.high
    assert values.min() <= limits.low <= values.max()


@given(counts, st.integers(2, 8), st.integers(0, 1000))
@example(np.array([1] + [0] * 100, np.uint16), 2, 0)  # one hot pixel
def test_gain_and_offset_of_the_sensor_change_nothing(
    values: np.ndarray, gain: int, offset: int
) -> None:
    """8-bit values in a 16-bit file, or counts with a bias, look the same to the network."""
    other = values.astype(np.int64) * gain + offset
    if np.ptp(np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])) == 0:
        return  # A band that is flat but for a few pixels has an arbitrary width.
    one_BHW, other_BHW = (
        normalise(v[None, None], np.ones((1, v.size), bool), (band_range(v),))
        for v in (values, other)
    )
    np.testing.assert_allclose(one_BHW, other_BHW, atol=2e-3)


@given(counts)
def test_one_infinite_or_missing_count_changes_nothing(values: np.ndarray) -> None:
    values = values.astype(np.float32)
    spoilt = np.concatenate([values, [np.inf, -np.inf, np.nan]]).astype(np.float32)
    assert band_range(spoilt) == band_range(values)


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), st.integers(1, 300)))
@example(np.arange(151, dtype=np.uint8))  # the 1st percentile lies in the middle of two counts
def test_a_histogram_gives_the_percentiles_of_numpy_to_the_bit(values: np.ndarray) -> None:
    low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE]).tolist()
    assert band_range(values) == BandRange(low, high if high > low else low + 1.0)


@given(counts)
def test_brighter_never_becomes_darker(values: np.ndarray) -> None:
    values = np.sort(values)
    valid_HW = np.ones((1, values.size), dtype=bool)
    out_BHW = normalise(values[None, None], valid_HW, (band_range(values),))
    assert (np.diff(out_BHW[0, 0]) >= 0).all()
    assert np.isfinite(out_BHW).all()
    assert np.abs(out_BHW).max() <= 4.5


def test_a_hand_worked_pixel() -> None:
    """Counts 100..300; 180 is 0.4 of the way up, which becomes 0; 230 lies 0.25 above."""
    out_BHW = normalise(np.array([[[180, 230]]]), np.array([[True, True]]), (BandRange(100, 300),))
    np.testing.assert_allclose(out_BHW[0, 0], [0.0, 1.0], atol=1e-6)


def test_unknown_is_zero() -> None:
    """Pixels without data and bands that the file lacks say nothing."""
    counts_BHW = np.full((2, 1, 2), 500, dtype=np.uint16)
    out_BHW = normalise(counts_BHW, np.array([[True, False]]), (BandRange(0, 100), None))
    assert out_BHW[0, 0, 0] > 0
    assert (out_BHW[0, 0, 1], out_BHW[1].any()) == (0.0, False)


def test_a_flat_or_empty_band_is_no_division_by_zero() -> None:
    assert band_range(np.full(9, 7)) == BandRange(7.0, 8.0)
    assert band_range(np.array([np.nan])) == BandRange(0.0, 1.0)


def test_a_few_hot_pixels_do_not_darken_the_rest() -> None:
    values = np.random.default_rng(3).normal(400, 60, 10_000)
    hot = values.copy()
    hot[:50] = 65535
    assert band_range(hot).high == pytest.approx(band_range(values).high, rel=0.05)
