"""What a user chooses of heights: buildings below a least height are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from snet4core.errors import ModelError
from snet4core.footprints.footprints import Footprints
from snet4core.model.card import Card
from snet4core.sentence import Option, Sentence


def require_roofs(card: Card, option: Option) -> None:
    """Raise ModelError where `option` asks for roofs that the model does not give."""
    if not card.architecture.maps_roofs:
        raise ModelError(
            f"The model {card.name} gives no roofs and heights; leave out ",
            option,
            ", or take a model that does.",
        )


def no_heights(name: str, option: Option) -> Sentence:
    """The warning that `option` changes nothing, because `name` gives no heights."""
    return Sentence(f"{name} gives no heights, so ", option, " leaves nothing out.")


def not_lower(batches: Iterable[Footprints], height_min_m: float | None) -> Iterator[Footprints]:
    """Leave out the buildings lower than `height_min_m`, and number the others anew.

    Buildings of unknown height stay. At least one batch comes for each scene, as before.
    """
    if height_min_m is None:
        yield from batches
        return
    count = 0
    for number, batch in enumerate(batches):
        is_low_N = batch.height_m_N < height_min_m  # False for NaN, which is unknown
        kept = batch[~is_low_N]
        if len(kept) == 0 and number > 0:
            continue
        numbers_N = np.arange(count + 1, count + 1 + len(kept), dtype=np.int64)
        yield replace(kept, footprint_id_N=numbers_N)
        count += len(kept)
