"""Guesses the look of a scene with the network, where no metadata gives it.

The network runs on a few windows spread over the scene, and the median of its estimates is
taken: one window of water or forest tells little. The guess is computed on the CPU in fp32
and rounded to whole degrees, so it depends on the picture and the model alone, and not on
the engine or machine that computes the maps later.

Array names end in their axes: B windows, C bands, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import ModelError
from snet4core.look.sighting import Sighting
from snet4core.maps.runtime import AnyEngine, Network, choose_runtime, resolved_runtime
from snet4core.model.card import Card
from snet4core.model.header import Header
from snet4core.scene.radiometry import normalise
from snet4core.scene.ranges import scene_ranges, spread
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene
from snet4core.scene.working_scale import WorkingScale, working_scale
from snet4core.windows import Window

SOURCE = "estimated"
"""`Look.source` of a guessed look."""

WINDOW_PX = 512
"""Side of a window on the working grid: holds some streets with their shadows and walls."""

ENOUGH = 9
"""Number of windows; with more the median hardly moves."""

MAX_WINDOWS_READ = 64
"""Most windows read in search of valid pixels, for scenes that are mostly empty."""

LARGE_PX = 2**24
"""After the guess for a scene from this size the network is let go: it holds 200 MB, which the run
needs, and takes half a second to load for the next one."""

CLEAR_SHARE = 0.5
"""The azimuth is unknown when its vector is shorter than this share of the sine of the
angle: the estimates of the windows disagree, or the network is unsure of each."""

TILTED_FROM_DEG = 10.0
"""Below this angle roofs lean too little to show the azimuth."""

FAINT_DEG = 3.0
"""Below this angle the azimuth is noise, even of a picture that is known to be tilted. The
network takes flat towns for less tilted than they are, and still sees where they lean."""


class LookGuesser:
    """Guesses looks with one model, whose network is loaded at the first guess.

    It is kept for further scenes, except after large ones.
    """

    def __init__(self, header: Header, engine: AnyEngine = "auto") -> None:
        """Of averaged models, the first that guesses looks is used."""
        able = (each for each in header.members if each.card.architecture.estimates_look)
        self._header, self._engine = next(able, header), engine
        self._network: Network | None = None
        self._known: dict[tuple[object, ...], Sighting | None] = {}

    def sighting(self, scene: Scene) -> Sighting | None:
        """The guess for a scene, cached; None if the model does not guess looks, or the picture
        holds no data.

        It uses the whole scene, whatever part of it is searched. Raises EngineError when the
        network cannot be computed here, InputError for pixels that cannot be read.
        """
        card = self._header.card
        if not card.architecture.estimates_look:
            return None
        state = (scene.location, scene.modified_ns, scene.size_bytes)  # a file may be replaced
        key = (*state, scene.grid, scene.bands, scene.nodata)
        if key not in self._known:
            name = scene.admitted.shown
            scale = working_scale(scene.grid.gsd_m, card.gsd_range_m, card.gsd_m, name)
            images_BCHW = sample(scene, scale, card.architecture.stride_px)
            if images_BCHW is None:
                self._known[key] = None
            else:
                estimates_B3 = self._loaded().look_estimates(images_BCHW)
                if math.prod(scene.grid.shape) >= LARGE_PX:
                    self._network = None
                self._known[key] = combined_sighting(
                    estimates_B3, scale.grid(scene.grid).up_deg, card
                )
        return self._known[key]

    def _loaded(self) -> Network:
        if self._network is None:
            from snet4core.maps.networks import network_for

            wanted = choose_runtime("cpu", "fp32", self._engine)
            self._network = network_for(resolved_runtime(wanted, self._header))
        return self._network


def combined_sighting(estimates_B3: NDArray[np.float32], up_deg: float, card: Card) -> Sighting:
    """Combine the estimates of all windows into one look, in whole degrees.

    `estimates_B3` are the sine of the off-nadir angle, and that sine times sine and cosine
    of the azimuth within the picture; `up_deg` is `Grid.up_deg`. The angle is clipped to the
    range that the model was trained on. ModelError for NaN or infinity.

    >>> from snet4core.model.card import Architecture
    >>> card = Card("any", Architecture(estimates_look=True))
    >>> windows_B3 = np.array([[0.5, 0.5, 0.0], [0.5, 0.4, 0.1], [0.9, 0.5, 0.0]], np.float32)
    >>> found = combined_sighting(windows_B3, 0.0, card)
    >>> found.off_nadir_deg, found.azimuth_deg, found.certainty
    (30.0, 90.0, 1.0)
    """
    sine, right, up = map(float, np.median(estimates_B3, axis=0))
    if not all(map(math.isfinite, (sine, right, up))):
        raise ModelError(f"The model {card.name} guesses no look but NaN or infinity; train again.")
    low_deg, high_deg = card.off_nadir_range_deg
    tilt_deg = math.degrees(math.asin(min(max(sine, 0.0), 1.0)))
    off_nadir_deg = float(round(min(max(tilt_deg, low_deg), high_deg)))
    lean_deg, clearness = None, 0.0
    if tilt_deg >= FAINT_DEG:
        clearness = round(min(1.0, math.hypot(right, up) / sine), 2)
    if clearness >= CLEAR_SHARE:
        lean_deg = float(round(math.degrees(math.atan2(right, up)) + up_deg) % 360)
    tilted = off_nadir_deg >= TILTED_FROM_DEG
    where = f"the guess of the model {_name(card)}"
    return Sighting(
        off_nadir_deg,
        lean_deg if tilted else None,
        SOURCE,
        where,
        clearness if tilted else 0.0,
        lean_deg,
    )


def _name(card: Card) -> str:
    """The model's name, with its median errors if they were measured."""
    if card.look_error_deg is None:
        return card.name
    angle_deg, azimuth_deg = card.look_error_deg
    azimuth = "" if azimuth_deg is None else f", of the azimuth {azimuth_deg:.0f}"
    return f"{card.name} (median error on unseen places {angle_deg:.1f} degrees{azimuth})"


def sample(scene: Scene, scale: WorkingScale, stride_px: int) -> NDArray[np.float32] | None:
    """Up to `ENOUGH` normalised windows of a scene (B, C, H, W), each at least half valid; else
    the one with most valid pixels, and None where there is no data at all."""
    ranges = scene_ranges(scene)
    shape = scale.grid(scene.grid).shape
    full: list[NDArray[np.float32]] = []
    fullest, most = None, 0.0
    with SceneReader(scene, scale) as reader:
        for window in islice(windows(shape, stride_px), MAX_WINDOWS_READ):
            counts_BHW, valid_HW = reader.read(window)
            image_BHW, share = normalise(counts_BHW, valid_HW, ranges), float(valid_HW.mean())
            if share > most:
                fullest, most = image_BHW, share
            if share >= 0.5:
                full.append(image_BHW)
            if len(full) == ENOUGH:
                break
    if full:
        return np.stack(full)
    return None if fullest is None else fullest[None]


def windows(shape: tuple[int, int], stride_px: int) -> Iterator[Window]:
    """Evenly spaced windows over a raster of `shape` (rows, columns), each far from the last.

    They lie inside it, unless it is smaller than one; sides are multiples of the stride.

    >>> [(w.row, w.col, w.shape) for w in windows((900, 500), 32)]
    [(0, 0, (512, 512)), (388, 0, (512, 512))]
    """
    (height, rows), (width, cols) = (_along(length, stride_px) for length in shape)
    for index in spread(len(rows) * len(cols)):
        yield Window(rows[index // len(cols)], cols[index % len(cols)], height, width)


def _along(length: int, stride_px: int) -> tuple[int, list[int]]:
    """Side of the windows along one axis, and their first pixels."""
    side = min(WINDOW_PX, -(-length // stride_px) * stride_px)
    count = -(-length // side)
    return side, [index * (length - side) // max(1, count - 1) for index in range(count)]
