"""Layers through which the look enters the network: gates, the sweep along the lean, its estimate.

A roof of height h is displaced from its footprint by h x tan(off-nadir) towards the azimuth:
`lean_of` gives that direction and rate from a look's features, `LeanSweep` samples along it.

Array names end in their axes: B batch, C channel, H row, W column, L features of a look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from snet4core.look.look import LOOK_FEATURES

LOOK_ESTIMATES = 3
"""Number of values that the network estimates of a look: see `LookEstimate`."""

SWEPT_HEIGHTS_PX = (5.0, 10.0, 18.0, 32.0)
"""Roof heights in pixels: 2.5, 5, 9 and 16 m at half a metre. Higher roofs would be sampled
beyond the halo of a window."""

SWEPT_FROM = 2
"""The finest level that is swept for all heights, of stride 4."""

SWEPT_CHANNELS = 16
"""Channels sampled from each level: enough to tell roof, wall and ground."""


class LookGate(nn.Module):
    """Scales and shifts feature channels by the look: x -> x * (1 + scale) + shift.

    Feature-wise linear modulation (Perez et al. 2018, arXiv:1709.07871). Initialised to the
    identity, so that training starts undisturbed.
    """

    def __init__(self, channels: Sequence[int], hidden: int = 32) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.inner = nn.Linear(LOOK_FEATURES, hidden)
        self.outer = nn.Linear(hidden, 2 * sum(channels))
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, features: list[Tensor], looks_BL: Tensor) -> list[Tensor]:
        """Features (B, C, H, W) of each level, and the looks, to features of equal shapes."""
        gates_BC = self.outer(nn.functional.silu(self.inner(looks_BL)))
        scales = gates_BC[:, : sum(self.channels)].split(self.channels, dim=1)
        shifts = gates_BC[:, sum(self.channels) :].split(self.channels, dim=1)
        return [  # in one pass over each level
            torch.addcmul(shift[:, :, None, None], level, 1 + scale[:, :, None, None])
            for level, scale, shift in zip(features, scales, shifts, strict=True)
        ]


class LeanSweep(nn.Module):
    """Samples, for every place on the ground, where its roof would be, at several heights.

    A roof of height h appears h x tan(off-nadir) away from its footprint, towards the
    azimuth. So the features are sampled there, for each of several heights, and a 1 x 1
    convolution learns which height fits: the geometry of unseen looks need not be learned
    (a plane sweep, Collins 1996, with one picture). Initialised to the identity, like
    `LookGate`. With an unknown azimuth all samples are taken at the place itself.
    """

    def __init__(
        self,
        channels: Sequence[int],
        first_level: int = SWEPT_FROM,
        heights_px: Sequence[float] = SWEPT_HEIGHTS_PX,
        sampled: int = SWEPT_CHANNELS,
    ) -> None:
        """`channels` are those of each level, finest first; they are reduced to `sampled`, which
        are sampled at each of `heights_px` (pixels of the picture)."""
        super().__init__()
        self.first_level, self.heights_px = first_level, tuple(heights_px)
        self.samples: Callable[[Tensor, Tensor, Sequence[float]], Tensor] = sample_by_grid
        swept = sampled * len(heights_px)
        self.narrow = nn.ModuleList(nn.Conv2d(count, sampled, 1) for count in channels)
        self.widen = nn.ModuleList(nn.Conv2d(swept, count, 1) for count in channels)
        for widen in self.widen:
            assert isinstance(widen, nn.Conv2d)
            assert widen.bias is not None
            nn.init.zeros_(widen.weight)
            nn.init.zeros_(widen.bias)

    def forward(self, features: list[Tensor], looks_BL: Tensor) -> list[Tensor]:
        """Features (B, C, H, W) of each level, and the looks, to features of equal shapes."""
        lean_B2 = lean_of(looks_BL)
        swept = []
        for depth, (level, narrow, widen) in enumerate(
            zip(features, self.narrow, self.widen, strict=True), start=self.first_level
        ):
            seen = self.samples(narrow(level), lean_B2 / 2**depth, self.heights_px)
            swept.append(level + widen(nn.functional.silu(seen)))
        return swept


def lean_of(looks_BL: Tensor) -> Tensor:
    """Displacement of a roof per pixel of its height, in pixels right and down, (B, 2).

    `looks_BL` are `Look.features()`; (0, 0) where the azimuth is unknown.
    """
    slope_B = looks_BL[:, 0] / looks_BL[:, 1]
    return torch.stack([slope_B * looks_BL[:, 2], -slope_B * looks_BL[:, 3]], dim=1)


def sample_by_grid(
    level_BCHW: Tensor, lean_B2: Tensor, heights_px: Sequence[float] = SWEPT_HEIGHTS_PX
) -> Tensor:
    """Sample the features `height x lean` away from each place: (B, C x heights, H, W).

    `lean_B2` is in pixels of the level, right and down; samples beyond the edge are 0.
    """
    batch, channels, height, width = level_BCHW.shape
    kind, device = torch.float32, level_BCHW.device
    rows_H = (torch.arange(height, dtype=kind, device=device) * 2 + 1) / height - 1
    cols_W = (torch.arange(width, dtype=kind, device=device) * 2 + 1) / width - 1
    heights_S = torch.tensor(heights_px, dtype=kind, device=device)
    away_BS2 = heights_S[None, :, None] * lean_B2[:, None, :].to(kind) * 2
    x_BSW = cols_W + away_BS2[:, :, :1] / width
    y_BSH = rows_H + away_BS2[:, :, 1:] / height
    count = len(heights_px)
    grid_BSHW2 = torch.stack(
        [
            x_BSW[:, :, None, :].expand(batch, count, height, width),
            y_BSH[:, :, :, None].expand(batch, count, height, width),
        ],
        dim=-1,
    )
    seen = nn.functional.grid_sample(
        level_BCHW.to(kind),
        grid_BSHW2.reshape(batch, count * height, width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    return seen.reshape(batch, channels * count, height, width).to(level_BCHW.dtype)


def sample_by_shift(
    level_BCHW: Tensor, lean_B2: Tensor, heights_px: Sequence[float] = SWEPT_HEIGHTS_PX
) -> Tensor:
    """`sample_by_grid` for one look (all of `lean_B2` equal), by integer shifts that are blended.

    For exported graphs: an engine that computes in bf16 rounds the coordinates of `grid_sample`
    to a pixel or two, but not integers. 0.17 % of the maps' pixels flipped before, 0.05 % now.
    """
    height, width = level_BCHW.shape[2:]
    ringed = nn.functional.pad(level_BCHW, (1, 1, 1, 1))

    def moved(image: Tensor, axis: int, size: int, away: Tensor) -> Tensor:
        whole = torch.floor(away)
        share, first = away - whole, torch.arange(size, device=away.device) + whole.to(torch.int64)
        # Indices beyond the edge are clamped to the padding of zeros.
        near = image.index_select(axis, first.clamp(-1, size) + 1)
        far = image.index_select(axis, (first + 1).clamp(-1, size) + 1)
        return near * (1 - share) + far * share

    seen = []
    for height_px in heights_px:
        right, down = lean_B2[0] * height_px
        seen.append(moved(moved(ringed, 2, height, down), 3, width, right))
    return torch.stack(seen, dim=2).flatten(1, 2)


class LookEstimate(nn.Module):
    """Estimates the look from the coarsest features of a whole picture.

    SpaceNet 4's winner trained it as an auxiliary task, for the encoder's sake; here it also
    serves pictures without metadata. Three numbers: the sine of the off-nadir angle, and that
    sine times sine and cosine of the azimuth.
    """

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.inner = nn.Linear(channels, hidden)
        self.outer = nn.Linear(hidden, LOOK_ESTIMATES)

    def forward(self, coarsest_BCHW: Tensor) -> Tensor:
        """Coarsest features to estimates (B, 3)."""
        estimates: Tensor = self.outer(
            nn.functional.silu(self.inner(coarsest_BCHW.mean(dim=(2, 3))))
        )
        return estimates
