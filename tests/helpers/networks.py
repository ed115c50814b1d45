"""Small random networks that hear the look, and what they make of a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from snet4core.look.look import Look
from snet4core.maps.predictor import Picture, Predictor
from snet4core.model.card import FIVE_MAPS, Architecture, Card, WindowSettings
from snet4core.model.network import OffNadirNet
from snet4core.windows import Tile, Window

SMALL = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8))
WITH_HEIGHTS = replace(
    SMALL,
    decoder_channels=(16, 16, 8, 8),
    maps=FIVE_MAPS,
    sweeps_lean=True,
    heights_apart=True,
)
CARD = Card(name="small", architecture=SMALL, windows=WindowSettings(core_px=64, halo_px=32))
NORTH_30 = Look(30.0, 20.0, "option")


def listening_net(architecture: Architecture = SMALL) -> OffNadirNet:
    """A random network whose gates are open: as built, they hear nothing yet, and its heights are
    not corrected."""
    torch.manual_seed(7)
    net = OffNadirNet(architecture)
    for name, value in net.named_parameters():
        if any(part in name for part in (".gate.outer.", ".widen.", ".heights.height.")):
            torch.nn.init.normal_(value, std=0.3)
    return net.eval()


def pixels(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).standard_normal((4, height, width)).astype(np.float32)


def reader(image_CHW: NDArray[np.float32]) -> Callable[[Tile], Picture]:
    """Reads windows of an array; nothing is valid outside of it."""
    whole = Window(0, 0, *image_CHW.shape[1:])

    def read(tile: Tile) -> Picture:
        window = tile.read
        inside = window.within(whole)
        picture = np.zeros((image_CHW.shape[0], *window.shape), dtype=np.float32)
        valid = np.zeros(window.shape, dtype=np.bool_)
        rows, cols = inside.slices(window)
        picture[:, rows, cols] = image_CHW[(slice(None), *inside.slices())]
        valid[rows, cols] = True
        return picture, valid

    return read


def whole_map(
    predictor: Predictor, look: Look, shape: tuple[int, int] = (150, 100)
) -> NDArray[np.uint8]:
    whole = np.full(shape, 77, dtype=np.uint8)
    for maps in predictor.maps(reader(pixels(*shape)), shape, look):
        assert maps.footprint_HW.shape == maps.border_HW.shape == maps.window.shape
        whole[maps.window.slices()] = maps.footprint_HW
    return whole
