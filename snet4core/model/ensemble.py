"""Combines the headers of several models, or of one model at several scales, into one.

Windows, thresholds and shape settings are those of the first model's card. Names and digests
are those of all models, as written to every feature, to maps files and to the keys of parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from snet4core.errors import UsageError
from snet4core.model.card import LARGEST_SCALE, SMALLEST_SCALE
from snet4core.model.header import Header, read_header


def header_of(path: Path) -> Header:
    """The header under which a model file is computed: at the scales that its card names."""
    return combined_header([read_header(path)])


def combined_header(models: Sequence[Header], scales: Sequence[float] = ()) -> Header:
    """The header of models whose maps are averaged, each at each of `scales`, by default those of
    the first model's card.

    One model at its own size alone, which is the scale 1, keeps its own header. UsageError for
    models that differ in bands, stride, maps or pixel size, for a model given twice, and for
    scales out of range.
    """
    chosen = _checked(scales or models[0].card.scales)
    if len(models) == 1 and not chosen:
        return models[0]
    first, *others = models
    for other in others:
        _require_compatible(first, other)
    if len({each.network for each in models}) < len(models):
        raise UsageError("One model was given twice; give each --model once.")
    digest = " + ".join(each.network for each in models)
    if chosen:
        digest += f" seen at {', '.join(f'{scale:g}' for scale in chosen)}"
    return replace(
        first,
        card=replace(first.card, name=" + ".join(each.card.name for each in models)),
        digest=digest,
        exported_from=None,
        averaged=tuple(models),
        scales=chosen,
    )


def _checked(scales: Sequence[float]) -> tuple[float, ...]:
    """Scales sorted, without duplicates; () if 1 is the only one."""
    for scale in scales:
        if not (math.isfinite(scale) and SMALLEST_SCALE <= scale <= LARGEST_SCALE):
            raise UsageError(
                f"A scale of {scale:g} is not between {SMALLEST_SCALE:g} and "
                f"{LARGEST_SCALE:g}; give some around 1, as in 0.8,1,1.25."
            )
    chosen = tuple(sorted(set(scales)))
    return () if chosen == (1.0,) else chosen


def _require_compatible(first: Header, other: Header) -> None:
    """Raise UsageError if two models differ in bands, stride, maps or pixel size."""
    one, two = first.card, other.card
    bands = [", ".join(card.architecture.bands) for card in (one, two)]
    strides_px = [card.architecture.stride_px for card in (one, two)]
    maps = [", ".join(card.architecture.maps) for card in (one, two)]
    if bands[0] != bands[1]:
        what = f"one sees {bands[0]}, the other {bands[1]}"
    elif strides_px[0] != strides_px[1]:
        what = f"their strides are {strides_px[0]} and {strides_px[1]} pixels"
    elif maps[0] != maps[1]:
        what = f"one maps {maps[0]}, the other {maps[1]}"
    elif not _covers(one.gsd_range_m, two.gsd_m) or not _covers(two.gsd_range_m, one.gsd_m):
        what = f"they are made for pixels of {one.gsd_m:g} m and of {two.gsd_m:g} m"
    else:
        return
    raise UsageError(
        f"{other.path} cannot be averaged with {first.path}: {what}; give models for the same "
        "pictures."
    )


def _covers(range_m: tuple[float, float], gsd_m: float) -> bool:
    low_m, high_m = range_m
    return low_m <= gsd_m <= high_m
