"""The card: what a model says of itself survives the file, and nothing else gets in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from snet4core.errors import ModelError
from snet4core.look.look import Look
from snet4core.model.card import (
    FIVE_HEADS,
    FIVE_MAPS,
    ONE_HEAD,
    THREE_HEADS,
    TWO_MAPS,
    Architecture,
    Card,
)
from snet4core.settings import ShapeSettings, SplitSettings

CARD = Card(
    name="test",
    architecture=Architecture(decoder_channels=(32, 16, 8)),
    shapes={
        "nadir": ShapeSettings(threshold=0.4),
        "off-nadir": ShapeSettings(split=SplitSettings(seed_threshold=0.7)),
        "very-off-nadir": ShapeSettings(),
    },
    scores={"a place": {"nadir": 0.5}},
)


def test_a_card_read_back_is_the_same_card() -> None:
    assert Card.from_json(CARD.to_json()) == CARD


def test_the_same_card_gives_the_same_bytes() -> None:
    assert Card.from_json(CARD.to_json()).to_json() == CARD.to_json()


def test_scales_are_said_only_by_the_cards_that_have_them() -> None:
    """An older snet4 would refuse the key, and without it reads the model as it always did."""
    assert "scales" not in json.loads(CARD.to_json())
    twice = replace(CARD, scales=(0.7, 1.0))
    assert Card.from_json(twice.to_json()) == twice
    written = json.loads(twice.to_json())["format"]
    assert written > json.loads(CARD.to_json())["format"], "an older snet4 must not misread it"


def test_a_decoder_for_heights_is_said_only_by_the_cards_that_have_it() -> None:
    assert "heights_apart" not in json.loads(CARD.to_json())["architecture"]
    mapped = replace(Architecture(), maps=FIVE_MAPS, sweeps_lean=True, heights_apart=True)
    apart = replace(CARD, architecture=mapped, scales=(0.7, 1.0))
    assert Card.from_json(apart.to_json()) == apart
    assert json.loads(apart.to_json())["format"] == 4, "an older snet4 must not misread it"


@pytest.mark.parametrize("lacks", [{"maps": TWO_MAPS}, {"sweeps_lean": False},
                                   {"decoder_channels": (16, 8, 8)}])  # fmt: skip
def test_a_decoder_for_heights_needs_heights_and_a_lean(lacks: dict[str, Any]) -> None:
    fits = replace(Architecture(), maps=FIVE_MAPS, sweeps_lean=True, heights_apart=True)
    with pytest.raises(ModelError, match="decoder for heights is for networks that map roofs"):
        replace(fits, **lacks)


def test_confidence_knots_are_plain_pairs_in_the_file() -> None:
    assert json.loads(CARD.to_json())["confidence_knots"] == [[0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "newer snet4"),
        ({"format": None}, "no format version"),
        ({"surprise": 1}, "unknown surprise"),
        ({"architecture": {"encoder": "resnet18", "layers": 3}}, "unknown layers"),
        ({"confidence_knots": [[0, 1], [1, 0]]}, "must rise"),
        ({"confidence_knots": [[0, 0, 0], [1, 1, 1]]}, "must rise"),
        ({"confidence_knots": [0, 1]}, "incomplete"),
        ({"confidence_knots": [[0, "a"], [1, "b"]]}, "incomplete"),
        ({"gsd_m": 9.0}, "outside its range"),
        ({"format": True}, "no format version"),
        ({"format": 0}, "no format version"),
        ({"gsd_range_m": []}, r"gsd_range_m cannot be \[\]"),
        ({"off_nadir_range_deg": [1, "a"]}, "off_nadir_range_deg cannot be"),
        ({"look_error_deg": []}, "look_error_deg cannot be"),
        ({"name": None}, "name cannot be null"),
        ({"scales": [True]}, "scales cannot be"),
        ({"windows": {"core_px": "a"}}, "core_px cannot be"),
        ({"windows": {"core_px": 1001}}, "no multiples of 8"),
        ({"windows": {"halo_px": -8}}, "no multiples of 8"),
        ({"windows": {"core_px": 0}}, "no multiples of 8"),
        ({"architecture": {"encoder": 5}}, "encoder cannot be 5"),
        ({"architecture": {"decoder_channels": ["a"]}}, "decoder_channels cannot be"),
        ({"shapes": {}}, "exactly nadir"),
        ({"scales": [0.1, 1]}, "up to 8 scales"),
        ({"scales": [float("nan")]}, "up to 8 scales"),
        ({"scales": [1] * 9}, "up to 8 scales"),
        ({"scales": ["1"]}, "scales cannot be"),
    ],
)
def test_a_card_that_is_not_ours_is_refused(change: dict[str, object], said: str) -> None:
    raw = json.loads(CARD.to_json()) | change
    with pytest.raises(ModelError, match=said):
        Card.from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"card"'])
def test_what_is_no_card_at_all_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        Card.from_json(text)


@pytest.mark.parametrize(
    ("heads", "off_nadir_deg", "azimuth_deg", "head"),
    [
        (ONE_HEAD, 50, 20, "any"),
        (THREE_HEADS, 25.9, None, "nadir"),
        (THREE_HEADS, 26, 180, "off-nadir"),
        (THREE_HEADS, 41, None, "very-off-nadir"),
        (FIVE_HEADS, 10, 180, "nadir"),
        (FIVE_HEADS, 30, 180, "off-nadir-south"),
        (FIVE_HEADS, 30, 20, "off-nadir-north"),
        (FIVE_HEADS, 50, None, "very-off-nadir-north"),
    ],
)
def test_the_look_chooses_the_head(
    heads: tuple[str, ...], off_nadir_deg: float, azimuth_deg: float | None, head: str
) -> None:
    architecture = replace(CARD.architecture, heads=heads)
    assert architecture.head_for(Look(off_nadir_deg, azimuth_deg, "option")) == head
    assert head in heads
