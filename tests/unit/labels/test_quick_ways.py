"""What is computed in a quick way is what the plain way gives, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from snet4core.labels import cuts, flood, runs
from snet4core.labels.morphology import eroded

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 60), st.integers(0, 90))
def test_sets_that_are_joined_are_the_components_of_the_graph(
    seed: int, count: int, pairs: int
) -> None:
    one, two = np.random.default_rng(seed).integers(0, count, (2, pairs))
    graph = coo_array((np.ones(pairs), (one, two)), shape=(count, count))
    number = connected_components(graph, directed=False)[1]
    least = np.array([np.flatnonzero(number == each)[0] for each in number])
    assert runs.joined(one, two, count).tolist() == least.tolist()


@given(seeds, st.floats(0.1, 0.9))
def test_components_of_a_mask_are_numbered_by_their_first_pixel(seed: int, share: float) -> None:
    mask_HW = np.random.default_rng(seed).random((17, 23)) < share
    found, count = runs.components(mask_HW)
    plain_HW, plain_count = ndimage.label(mask_HW)  # numbers by first pixel too
    labels_HW = np.zeros(mask_HW.shape, np.int32)
    labels_HW.ravel()[found.flat(23)] = np.repeat(found.label_R, found.lengths)
    assert count == plain_count
    assert (labels_HW == plain_HW).all()


def flooded_pixel_by_pixel(level_HW: np.ndarray, sources_HW: np.ndarray, top: int) -> np.ndarray:
    """Every step looks at all pixels."""
    region_HW = sources_HW.copy()
    rows, cols = level_HW.shape
    for height in range(top):
        grown = True
        while grown:
            before_HW, grown = region_HW.copy(), False
            for row in range(1, rows - 1):
                for col in range(1, cols - 1):
                    around = [
                        before_HW[row + down, col + right]
                        for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0))
                        if level_HW[row + down, col + right] < top
                    ]
                    reached = [each for each in around if each > 0]
                    if level_HW[row, col] <= height and before_HW[row, col] == 0 and reached:
                        region_HW[row, col], grown = min(reached), True
    return np.where(level_HW < top, region_HW, 0)


@given(seeds)
def test_a_flood_rises_as_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level_HW = np.full((11, 12), 4, np.uint8)
    level_HW[1:-1, 1:-1] = rng.integers(0, 5, (9, 10))
    sources_HW = np.zeros((11, 12), np.int32)
    sources_HW.ravel()[rng.choice(np.flatnonzero(level_HW < 4), 4)] = [3, 1, 2, 4]
    quick_HW = flood.flooded(level_HW, sources_HW, 4)
    assert (quick_HW == flooded_pixel_by_pixel(level_HW, sources_HW, 4)).all()


@pytest.mark.parametrize(
    ("spread", "few_pairs"),
    [(0.02, cuts.FEW_PAIRS), (0.02, 0), (0.3, cuts.FEW_PAIRS)],
    ids=["far, by pairs", "far, by a tree", "near"],
)
@given(seed=seeds)
def test_the_nearest_pixel_of_a_body_is_that_of_a_search_among_all(
    spread: float, few_pairs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    regions_HW = np.zeros((24, 31), np.int32)
    regions_HW[1:-1, 1:-1] = np.where(rng.random((22, 29)) < 0.9, 1 + (np.arange(29) > 13), 0)
    body_HW = (rng.random((24, 31)) < spread) & (regions_HW > 0)
    body_HW[5, 5], body_HW[5, 20] = True, True
    regions_HW[5, 5], regions_HW[5, 20] = 1, 2
    place_F = rng.choice(np.flatnonzero(regions_HW), 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "FEW_PAIRS", few_pairs)
        found_F2 = cuts._nearest_of_own_body(regions_HW, body_HW, place_F)
    for place, found_2 in zip(place_F, found_F2, strict=True):
        number = regions_HW.ravel()[place]
        if body_HW.ravel()[place]:
            assert found_2.tolist() == list(divmod(int(place), 31))
            continue
        rim_HW = body_HW & ~eroded(body_HW, "cross") & (regions_HW == number)
        rim_N2 = np.argwhere(rim_HW)
        _, nearest = cKDTree(rim_N2 + np.array(cuts.TIE_BREAK)).query(np.divmod(place, 31))
        assert found_2.tolist() == rim_N2[nearest].tolist()
