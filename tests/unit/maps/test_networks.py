"""Models and scales averaged: one mean, quantised once, and said wherever it matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snet4core.errors import UsageError
from snet4core.look.look import Look
from snet4core.maps.heights import HIGHEST_M
from snet4core.maps.networks import averaged_network
from snet4core.maps.scales import AtScales, scaled, sights
from snet4core.model.card import FIVE_MAPS, ONE_HEAD, THREE_HEADS, Architecture, Card
from snet4core.model.ensemble import combined_header
from snet4core.model.header import Header
from snet4core.parts.command import of_models
from snet4core.scene.resample import resized

SMALL = Architecture(decoder_channels=(8, 8, 8))
LOOK = Look(30.0, 20.0, "option")
sides = st.integers(1, 40)


def header(name: str, architecture: Architecture = SMALL, **card: Any) -> Header:
    return Header(Path(f"{name}.safetensors"), Card(name, architecture, **card), name * 64)


A, B = header("a"), header("b", replace(SMALL, heads=ONE_HEAD))


# From one size to another and back.


@given(sides, sides, sides, sides)
def test_a_flat_picture_stays_flat(rows: int, cols: int, new_rows: int, new_cols: int) -> None:
    flat = np.full((1, 2, rows, cols), 0.7, np.float32)
    other = resized(flat, (new_rows, new_cols))
    assert other.shape == (1, 2, new_rows, new_cols)
    assert np.allclose(other, 0.7, atol=1e-6)


@given(st.integers(16, 60), st.floats(0.5, 2.0))
def test_a_slope_keeps_its_place(side: int, scale: float) -> None:
    new = max(8, round(side * scale))
    ramp = np.tile(np.arange(side, dtype=np.float32), (1, 1, side, 1))
    expected = (np.arange(new) + 0.5) * side / new - 0.5
    margin = 3 + new // side  # at the edge the slope ends
    found = resized(ramp, (new, new))[0, 0, 0]
    assert np.allclose(found[margin:-margin], expected[margin:-margin], atol=0.15)  # of a pixel


def test_the_same_size_is_the_same_picture() -> None:
    picture = np.random.default_rng(0).random((2, 3, 9, 7), np.float32)
    assert np.array_equal(resized(picture, (9, 7)), picture)


@pytest.mark.parametrize("shape", [(48, 40), (80, 96), (33, 64)])
def test_torch_resizes_alike(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    picture = np.random.default_rng(1).random((1, 2, 64, 64), np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(picture), shape, mode="bilinear", antialias=True
    ).numpy()
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))  # the edge is a matter of taste
    assert np.allclose(resized(picture, shape)[inner], expected[inner], atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.25, 4.0), st.sampled_from([8, 32]))
def test_scaled_windows_fit_the_stride(rows: int, cols: int, scale: float, stride: int) -> None:
    found = scaled((rows * stride, cols * stride), scale, stride)
    for old, new in zip((rows, cols), found, strict=True):
        assert new % stride == 0
        assert new >= stride
        assert abs(new - old * stride * scale) <= max(stride / 2, stride * (1 - old * scale))


# The mean of several.


class Plain:
    """A network that says the same of every pixel, or what the picture's first band says."""

    def __init__(self, says: float | None) -> None:
        self.says = says
        self.seen: list[tuple[tuple[int, ...], str]] = []
        self.prepared: list[tuple[set[tuple[int, int]], str]] = []

    def prepare_probabilities(self, shapes: set[tuple[int, int]], head: str) -> None:
        self.prepared.append((shapes, head))

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        self.seen.append((images_BCHW.shape, head))
        band = images_BCHW[:, :1] if self.says is None else np.full_like(images_BCHW, self.says)
        return np.concatenate([band[:, :1], band[:, :1] / 2], axis=1)


def joined(networks: list[Any], combined: Header) -> Any:
    """What a predictor makes of them."""
    scales = combined.scales
    several = [
        AtScales(each, member.card.architecture, scales) if scales else each
        for each, member in zip(networks, combined.members, strict=True)
    ]
    return averaged_network(several, combined)


def average(networks: list[Any], combined: Header, images: Any) -> NDArray[np.uint8]:
    maps: NDArray[np.uint8] = joined(networks, combined).forward(images, LOOK, "off-nadir")
    return maps


def test_maps_are_averaged_before_they_are_quantised() -> None:
    images = np.zeros((3, 4, 16, 24), np.float32)
    networks = [Plain(0.101), Plain(0.104)]
    maps = average(networks, combined_header([A, B]), images)
    assert maps.shape == (3, 2, 16, 24)
    assert maps.dtype == np.uint8
    assert np.unique(maps[:, 0]).tolist() == [26]  # 0.1025 x 255; each alone gives 26 and 27
    assert np.unique(maps[:, 1]).tolist() == [13]
    heads = [head for network in networks for _, head in network.seen]
    assert heads == ["off-nadir", "any"], "each answers with its own head"


def test_each_scale_sees_the_window_and_comes_back() -> None:
    smooth = np.sin(np.linspace(0, 3, 64, dtype=np.float32))[:, None] * np.ones(64, np.float32)
    images = np.tile(smooth, (1, 4, 1, 1)).astype(np.float32)
    network = Plain(None)
    maps = average([network], combined_header([A], (0.75, 1.0, 1.5)), images)
    assert [shape[2:] for shape, _ in network.seen] == [(64, 64), (48, 48), (96, 96)]
    assert np.abs(maps[0, 0, 4:-4] - np.rint(smooth[4:-4] * 255)).max() <= 1


def test_networks_prepare_for_the_windows_that_they_will_see() -> None:
    networks: list[Any] = [Plain(0.1), Plain(0.2)]
    averaged = joined(networks, combined_header([A, B], (0.75, 1.0)))
    averaged.prepare({(64, 64), (64, 32)}, "off-nadir")
    assert networks[0].prepared == [
        ({(48, 48), (48, 24)}, "off-nadir"),
        ({(64, 64), (64, 32)}, "off-nadir"),
    ]
    assert networks[1].prepared == [], "it has another head, which only the look can choose"


def test_at_another_scale_a_building_looks_higher_and_is_told_as_high_as_it_is() -> None:
    five = header("f", replace(SMALL, maps=FIVE_MAPS))

    class AsHighAsWide:
        """A house of 4 m, which looks as much higher as the window looks wider than 64 px."""

        def probabilities(
            self, images_BCHW: NDArray[np.float32], look: Look, head: str
        ) -> NDArray[np.float32]:
            count, _, rows, cols = images_BCHW.shape
            maps_BMHW = np.full((count, 5, rows, cols), 0.5, np.float32)
            maps_BMHW[:, 4] = np.sqrt(4.0 * cols / 64 / HIGHEST_M)
            return maps_BMHW

    combined = combined_header([five], (0.5, 1.0, 1.5))
    found = average([AsHighAsWide()], combined, np.zeros((1, 4, 64, 64), np.float32))
    assert found.shape == (1, 5, 64, 64)
    assert (found[0, 4] == 51).all()
    assert (found[0, :4] == 128).all()


class ByScale:
    """Says of each map how wide the window is, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: dict[int, Look] = {}

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        count, _, rows, cols = images_BCHW.shape
        self.told[cols] = look
        return np.full((count, 5, rows, cols), cols / 255, np.float32)


@pytest.mark.parametrize("heads", [ONE_HEAD, THREE_HEADS])
def test_glances_count_for_roofs_alone(heads: tuple[str, ...]) -> None:
    """A tenth each, one after the other; told nothing where a head hears every look."""
    network = ByScale()
    five = header("f", replace(SMALL, maps=FIVE_MAPS, heads=heads))
    found = average(
        [network], combined_header([five], (0.5, 1.0, 2.0)), np.zeros((1, 4, 64, 64), np.float32)
    )
    roof = round(0.9 * (0.9 * 64 + 0.1 * 32) + 0.1 * 128)
    assert [np.unique(each).tolist() for each in found[0]] == [[64], [64], [roof], [roof], [64]]
    glance = Look(0.0, None, LOOK.source) if heads == ONE_HEAD else LOOK
    assert network.told == {32: glance, 64: LOOK, 128: glance}

    alone = average(
        [network], combined_header([five], (0.5, 0.75)), np.zeros((1, 4, 64, 64), np.float32)
    )
    roof = round(0.9 * 48 + 0.1 * 32)
    assert np.unique(alone[0, 0]).tolist() == [48], "the scale next to 1 stands for it"
    assert np.unique(alone[0, 2]).tolist() == [roof]


def test_a_glance_has_more_say_where_it_sees_a_large_roof() -> None:
    """One without borders through it, which holds a square of 8 pixels."""

    class Glancing:
        def probabilities(
            self, images_BCHW: NDArray[np.float32], look: Look, head: str
        ) -> NDArray[np.float32]:
            maps_BMHW = np.full((1, 5, *images_BCHW.shape[2:]), 0.2, np.float32)
            if images_BCHW.shape[2] != 64:  # the glance, from so near that all is twice as large
                maps_BMHW[:, 2:4] = 0
                maps_BMHW[0, 2, 8:24, 8:24] = 1  # a hall of 8 x 8
                maps_BMHW[0, 2, 64:78, 64:104] = 1  # a long one, 7 wide
                maps_BMHW[0, 2, 80:112, 8:40] = 1  # houses wall to wall, 3 pixels each
                for at in (0, 1, 8, 9, 16, 17):  # the walls between them
                    maps_BMHW[0, 3, 80:112, 16 + at] = maps_BMHW[0, 3, 88 + at, 8:40] = 1
            return maps_BMHW

    five = header("f", replace(SMALL, maps=FIVE_MAPS, heads=ONE_HEAD))
    combined = combined_header([five], (1.0, 2.0))
    maps = average([Glancing()], combined, np.zeros((1, 4, 64, 64), np.float32))[0]
    assert maps[2, 8, 8] == round(255 * (0.2 + 0.7 * 0.8))
    assert maps[2, 35, 40] == round(255 * (0.2 + 0.1 * 0.8))
    assert maps[2, 42, 6] == round(255 * (0.2 + 0.1 * 0.8))
    assert maps[2, 20, 50] == round(255 * 0.9 * 0.2)
    assert np.unique(maps[[0, 1, 4]]).tolist() == [51]


def test_without_roofs_all_scales_count_alike() -> None:
    network = Plain(0.4)
    maps = average(
        [network], combined_header([A], (0.5, 1.0)), np.zeros((1, 4, 64, 64), np.float32)
    )
    assert np.unique(maps[:, 0]).tolist() == [102]
    for architecture in (SMALL, replace(SMALL, heads=ONE_HEAD)):
        every = sights((0.5, 1.0), architecture, (64, 64), LOOK)
        assert [each.told for each in every] == [LOOK, LOOK]


def test_windows_of_a_batch_play_no_part() -> None:
    images = np.random.default_rng(2).random((3, 4, 32, 32), np.float32)
    combined = combined_header([A, B], (0.75, 1.0))
    both = [Plain(None), Plain(0.3)]
    together_B2HW = average(both, combined, images)
    for index in range(3):
        alone = average(both, combined, images[index : index + 1])
        assert np.array_equal(alone[0], together_B2HW[index])


def test_one_model_at_its_own_scale_is_left_alone() -> None:
    network: Any = Plain(0.5)
    assert combined_header([A]) is A
    assert combined_header([A], (1.0,)) is A
    assert averaged_network([network], A) is network


def test_the_first_card_says_the_scales_where_nobody_else_does() -> None:
    twice = header("t", scales=(0.7, 1.0))
    assert combined_header([twice]).scales == (0.7, 1.0)
    assert combined_header([twice, A]).scales == (0.7, 1.0)
    assert combined_header([A, twice]).scales == ()
    assert combined_header([twice], (0.8,)).scales == (0.8,)
    assert combined_header([twice], (1.0,)) is twice, "its own size alone, as asked"
    assert combined_header([twice]).network != twice.network, "other maps, so another key"


def test_a_command_names_scales_that_the_card_does_not() -> None:
    twice = header("t", scales=(0.7, 1.0))
    assert of_models(combined_header([twice])) == "--model t.safetensors"
    assert of_models(twice) == "--model t.safetensors --tta 1"
    assert of_models(combined_header([A], (0.8, 1))) == "--model a.safetensors --tta 0.8,1"


# What the rest of a run knows of it.


def test_names_and_digests_of_all_stand_for_it() -> None:
    both = combined_header([A, B], (1.25, 0.8, 1.0, 0.8))
    assert both.card == replace(A.card, name="a + b")
    assert both.scales == (0.8, 1.0, 1.25)
    assert both.members == (A, B)
    assert both.network == f"{'a' * 64} + {'b' * 64} seen at 0.8, 1, 1.25"
    keys = {
        h.network
        for h in (
            A,
            combined_header([A], (0.8, 1)),
            combined_header([A, B]),
            combined_header([B, A]),
        )
    }
    assert len(keys) == 4
    assert all(each.path.is_absolute() for each in both.at_absolute_paths().members)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (header("c", replace(SMALL, bands=("pan",))), "one sees blue, green, red, nir"),
        (header("c", replace(SMALL, decoder_channels=(8, 8))), "strides are 8 and 4"),
        (header("c", replace(SMALL, maps=FIVE_MAPS)), "one maps footprint, border, the other"),
        (header("c", gsd_m=2.0, gsd_range_m=(1.5, 3.0)), "pixels of 0.5 m and of 2 m"),
        (A, "given twice"),
    ],
)
def test_models_that_do_not_see_alike_are_refused(other: Header, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        combined_header([A, other])


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.2, 5.0, float("nan"), float("inf")])
def test_senseless_scales_are_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="scale"):
        combined_header([A], (1.0, scale))
