"""What outlines promise: exact, valid, area kept, the same however the picture is turned."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from snet4core.labels import Labels
from snet4core.outline import outlines
from snet4core.windows import Window


def as_labels(labels_HW: NDArray[np.int32], row: int = 0, col: int = 0) -> Labels:
    """Labels with a footprint probability of 204 / 255 inside."""
    footprint = np.where(labels_HW > 0, 204, 0).astype(np.uint8)
    window = Window(row, col, *labels_HW.shape)
    return Labels(window, labels_HW, footprint, np.zeros_like(footprint), int(labels_HW.max()))


masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
@settings(deadline=None)
def test_exact_outlines_have_the_area_of_their_pixels_and_are_valid(
    mask: NDArray[np.bool_],
) -> None:
    labels_HW, count = ndimage.label(mask)
    found = outlines(as_labels(labels_HW.astype(np.int32)), 0.0)
    assert len(found.polygons_N) == count
    assert shapely.is_valid(found.polygons_N).all()
    assert shapely.area(found.polygons_N).tolist() == found.area_px_N.tolist()
