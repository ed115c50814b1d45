"""How the constants of a graph are made from a model's weights, with numpy alone.

A model file holds its weights once, as torch wants them; a graph for OpenVINO wants other
numbers: batch norms folded into the convolutions before them, kernels that upsample. A recipe
says how one constant is made. It calculates as `folded` and `network` do, in float32 and in the
same order, so that what it gives is what was exported, to the bit.

Array names end in their axes: E channels out, C channels in, H row, W column, N values in a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Weights: TypeAlias = Mapping[str, NDArray[Any]]
"""Name of a tensor -> its values, as the model file has them."""

Halves: TypeAlias = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Kept:
    """A tensor as it is, or several in one row."""

    names: tuple[str, ...]

    def count(self, weights: Weights) -> int:
        """See `Recipe.count`."""
        return sum(weights[name].size for name in self.names)

    def into(self, made_N: Halves, weights: Weights) -> None:
        """See `Recipe.into`."""
        at = 0
        for name in self.names:
            value = weights[name].reshape(-1)
            made_N[at : at + len(value)] = value
            at += len(value)


@dataclass(frozen=True, slots=True)
class Folded:
    """A convolution and the batch norm after it, in one; names as in the network."""

    conv: str
    norm: str
    eps: float
    """What the norm adds to the variance."""

    def kernel_ECHW(self, weights: Weights) -> NDArray[Any]:
        """The convolution's own kernel."""
        return _with_axes(weights, f"{self.conv}.weight", 4)

    def scale_E(self, weights: Weights) -> NDArray[np.float32]:
        """What its output channels are multiplied by."""
        spread_E = self.spread_E(weights)
        gain_E = _with_axes(weights, f"{self.norm}.weight", 1, np.ones_like(spread_E))
        scale_E: NDArray[np.float32] = gain_E.astype(np.float32) * spread_E
        return scale_E

    def spread_E(self, weights: Weights) -> NDArray[np.float32]:
        """One divided by the standard deviation that the norm has learned."""
        variance_E = _with_axes(weights, f"{self.norm}.running_var", 1).astype(np.float32)
        spread_E: NDArray[np.float32] = np.float32(1) / np.sqrt(variance_E + np.float32(self.eps))
        return spread_E


@dataclass(frozen=True, slots=True)
class FoldedKernel(Folded):
    """The kernel of that convolution, (E, C, H, W)."""

    def count(self, weights: Weights) -> int:
        """See `Recipe.count`."""
        return self.kernel_ECHW(weights).size

    def into(self, made_N: Halves, weights: Weights) -> None:
        """See `Recipe.into`."""
        kernel_ECHW = self.kernel_ECHW(weights)
        _scale(made_N.reshape(kernel_ECHW.shape), kernel_ECHW, self.scale_E(weights))


@dataclass(frozen=True, slots=True)
class FoldedBias(Folded):
    """The bias of that convolution, (E,)."""

    def count(self, weights: Weights) -> int:
        """See `Recipe.count`."""
        return _with_axes(weights, f"{self.norm}.running_mean", 1).size

    def into(self, made_N: Halves, weights: Weights) -> None:
        """See `Recipe.into`."""
        mean_E = _with_axes(weights, f"{self.norm}.running_mean", 1).astype(np.float32)
        none_E = np.zeros_like(mean_E)
        bias_E = _with_axes(weights, f"{self.conv}.bias", 1, none_E).astype(np.float32)
        scale_E = _with_axes(weights, f"{self.norm}.weight", 1, none_E + 1).astype(np.float32)
        shift_E = _with_axes(weights, f"{self.norm}.bias", 1, none_E).astype(np.float32)
        made_N[:] = (bias_E - mean_E) * self.spread_E(weights) * scale_E + shift_E


@dataclass(frozen=True, slots=True)
class CoarseKernel(Folded):
    """The kernel (coarse, E, 4, 4) of a transposed convolution that upsamples the first channels
    of a map and convolves them; see `upsampling.upsampling_kernel`."""

    coarse: int
    """Number of channels that come from the level below."""

    def count(self, weights: Weights) -> int:
        """See `Recipe.count`."""
        return self.coarse * len(self.kernel_ECHW(weights)) * 16

    def into(self, made_N: Halves, weights: Weights) -> None:
        """See `Recipe.into`."""
        kernel_EC33 = self.kernel_ECHW(weights)[:, : self.coarse]
        flipped_33EC = kernel_EC33.transpose(2, 3, 0, 1)[::-1, ::-1].astype(np.float32)
        _scale(flipped_33EC, flipped_33EC, self.scale_E(weights), axis=2)
        sum_44EC = np.zeros((4, 4, *flipped_33EC.shape[2:]), np.float32)
        for row, col in ((1, 1), (1, 0), (0, 1), (0, 0)):  # in the order of torch's pooling
            sum_44EC[row : row + 3, col : col + 3] += flipped_33EC
        rounded_44EC = sum_44EC.astype(np.float16)
        made_N.reshape(self.coarse, -1, 4, 4)[:] = rounded_44EC.transpose(3, 2, 0, 1)


@dataclass(frozen=True, slots=True)
class FineKernel(Folded):
    """The other channels' kernel, (E, C - coarse, H, W), which see the encoder's finer map."""

    coarse: int

    def count(self, weights: Weights) -> int:
        """See `Recipe.count`."""
        return self.kernel_ECHW(weights)[:, self.coarse :].size

    def into(self, made_N: Halves, weights: Weights) -> None:
        """See `Recipe.into`."""
        kernel_ECHW = self.kernel_ECHW(weights)[:, self.coarse :]
        _scale(made_N.reshape(kernel_ECHW.shape), kernel_ECHW, self.scale_E(weights))


Recipe: TypeAlias = Kept | FoldedKernel | FoldedBias | CoarseKernel | FineKernel
"""`count(weights)`: how many values are made. `into(made_N, weights)`: make them, rounded to half
precision. Weights that do not fit raise KeyError or ValueError."""

_KINDS: dict[str, type[Recipe]] = {
    "kept": Kept,
    "folded_kernel": FoldedKernel,
    "folded_bias": FoldedBias,
    "coarse_kernel": CoarseKernel,
    "fine_kernel": FineKernel,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def made(recipe: Recipe, weights: Weights) -> Halves:
    """What a recipe gives, in one row; what is too large for half precision becomes infinite."""
    made_N = np.empty(recipe.count(weights), np.float16)
    with np.errstate(all="ignore"):
        recipe.into(made_N, weights)
    return made_N


def written(recipe: Recipe) -> list[Any]:
    """A recipe as JSON: its kind, then its fields.

    >>> written(CoarseKernel("conv1.0", "conv1.1", 1e-05, 128))
    ['coarse_kernel', 'conv1.0', 'conv1.1', 1e-05, 128]
    """
    fields = recipe.names if isinstance(recipe, Kept) else astuple(recipe)
    return [_NAMES[type(recipe)], *fields]


def read(raw: Any) -> Recipe:
    """The recipe that was `written`; ValueError for anything else.

    >>> read(["kept", "heads.any.bias", "details.any.bias"])
    Kept(names=('heads.any.bias', 'details.any.bias'))
    """
    kind = _KINDS.get(raw[0]) if isinstance(raw, list) and raw else None
    if kind is None:
        raise ValueError(f"no recipe is written {str(raw)[:60]}")
    values, types = raw[1:], [type(value) for value in raw[1:]]
    if kind is Kept and set(types) == {str}:
        return Kept(tuple(values))
    wanted = [str, str, float, int] if kind in (CoarseKernel, FineKernel) else [str, str, float]
    if kind is Kept or types != wanted:
        raise ValueError(f"a '{raw[0]}' is not written {str(values)[:60]}")
    return kind(*values)


def _with_axes(
    weights: Weights, name: str, axes: int, otherwise: NDArray[Any] | None = None
) -> NDArray[Any]:
    """A tensor that must have so many axes; `otherwise` where there is none, if given."""
    value = weights[name] if otherwise is None else weights.get(name, otherwise)
    if value.ndim != axes:  # numpy would multiply rows by columns
        raise ValueError(f"'{name}' has {value.ndim} axes instead of {axes}")
    return value


def _scale(
    scaled: NDArray[Any], kernel: NDArray[Any], scale_E: NDArray[np.float32], axis: int = 0
) -> None:
    """Multiply along `axis` in float32, into `scaled`."""
    if kernel.shape[axis] != len(scale_E):
        raise ValueError(f"there are {len(scale_E)} scales for {kernel.shape[axis]} channels")
    along = scale_E.reshape(-1, *[1] * (kernel.ndim - 1 - axis))
    np.multiply(kernel, along, out=scaled, dtype=np.float32, casting="unsafe")
