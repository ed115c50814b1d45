"""The topology of a graph, which a model file carries beside its weights: few bytes, no numbers.

It holds the layers and connections in OpenVINO's XML, the recipe of each constant (`recipes`),
and the few constants that do not follow from the weights, such as indices and shapes. `grown`
makes the graph from it.

In the header of the model file it lies beside the card, as JSON; XML and literal constants are
deflated. The tensors are the weights alone: they have the same digest with a topology and without.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core.model import recipes
from snet4core.model.recipes import Recipe, Weights

MOST_BYTES = 2**24
"""Largest XML, and most literal constants, that are inflated."""

LEAST_BYTES = 64
"""A smaller constant is written as it is: its recipe would take no less."""

FINEST = np.float32(2.0**-24)
"""Distance of the smallest numbers in half precision."""


@dataclass(frozen=True, slots=True)
class Made:
    """One constant in half precision that follows from the weights."""

    offset: int
    """Where it begins in the graph's constants, bytes."""
    size: int
    """Its length, bytes."""
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Topology:
    """A graph without the numbers that the weights have."""

    xml: bytes
    made: tuple[Made, ...]
    """By offset."""
    literals: bytes
    """What lies between, in order, and after the last."""

    def digest(self, of_weights: str) -> str:
        """sha256 over all of it and the digest of the weights that it belongs to."""
        total = hashlib.sha256()
        recipe_lines = json.dumps(_rows(self.made)).encode()
        for part in (of_weights.encode(), self.xml, recipe_lines, self.literals):
            total.update(f"{len(part)};".encode())
            total.update(part)
        return total.hexdigest()

    def to_json(self, of_weights: str) -> dict[str, Any]:
        """As it is kept in the header; the same topology gives the same JSON."""
        return {
            "runtime": "openvino",
            "sha256": self.digest(of_weights),
            "xml": _deflated(self.xml),
            "literals": _deflated(self.literals),
            "made": _rows(self.made),
        }

    @staticmethod
    def from_json(raw: dict[str, Any], of_weights: str) -> Topology:
        """Read it; ValueError, which says what is wrong, for one that is damaged or hostile."""
        try:
            if raw["runtime"] != "openvino":
                raise ValueError(f"its graph is for '{raw['runtime']}', not for OpenVINO")
            made = tuple(Made(*_row(each)) for each in raw["made"])
            topology = Topology(_inflated(raw["xml"]), made, _inflated(raw["literals"]))
            wanted = str(raw["sha256"])
        except (KeyError, TypeError, zlib.error) as problem:
            raise ValueError(f"its graph is not described ({problem})") from problem
        if topology.digest(of_weights) != wanted:
            raise ValueError("its graph does not match its checksum")
        return topology

    def grown(self, weights: Weights) -> NDArray[np.uint8]:
        """The constants of the graph; ValueError where they do not follow from these weights."""
        sizes = sum(each.size for each in self.made)
        # An upsampling kernel has 16 / 9 of the weights that it is made from.
        if sizes > 4 * sum(value.nbytes for value in weights.values()):
            raise ValueError("its graph has more constants than its weights could give")
        constants = np.empty(sizes + len(self.literals), dtype=np.uint8)
        literals = np.frombuffer(self.literals, dtype=np.uint8)
        at = taken = 0
        for each in self.made:
            gap = each.offset - at
            if gap < 0 or taken + gap > len(literals):
                raise ValueError("the constants of its graph overlap")
            constants[at : each.offset] = literals[taken : taken + gap]
            at, taken = each.offset + each.size, taken + gap
            _make(each, constants, weights)
        constants[at:] = literals[taken:]
        return constants


def topology_of(
    xml: bytes,
    constants: NDArray[np.uint8],
    halves: Iterable[tuple[int, int]],
    known: Iterable[Recipe],
    weights: Weights,
) -> Topology:
    """Find how the constants of a graph follow from the weights.

    `halves` are offsets and sizes of those in half precision, `known` what may have made them.
    A constant is recognised by its values, to the rounding of half precision; the others, and
    those of less than `LEAST_BYTES`, become literals.
    """
    shelf: dict[int, list[tuple[Recipe, NDArray[np.float16]]]] = {}
    for recipe in known:
        value = recipes.made(recipe, weights)
        shelf.setdefault(value.nbytes, []).append((recipe, value))
    found = []
    for offset, size in sorted(set(halves)):
        wanted = constants[offset : offset + size].view(np.float16)
        match = _nearest(wanted, shelf.get(size, [])) if size >= LEAST_BYTES else None
        if match is not None:
            found.append(Made(offset, size, match))
    return Topology(xml, tuple(found), b"".join(_between(constants, found)))


def _between(constants: NDArray[np.uint8], made: Iterable[Made]) -> Iterator[bytes]:
    at = 0
    for each in made:
        yield constants[at : each.offset].tobytes()
        at = each.offset + each.size
    yield constants[at:].tobytes()


def _nearest(
    wanted: NDArray[np.float16], shelf: Iterable[tuple[Recipe, NDArray[np.float16]]]
) -> Recipe | None:
    """The recipe that gives these values: exactly, or else to one step of half precision."""
    close = None
    exact = wanted.astype(np.float32)
    step = np.maximum(np.abs(exact) * np.float32(2.0**-10), FINEST)
    for recipe, value in shelf:
        if np.array_equal(wanted, value):
            return recipe
        if close is None and bool((np.abs(exact - value.astype(np.float32)) <= step).all()):
            close = recipe
    return close


def _make(each: Made, constants: NDArray[np.uint8], weights: Weights) -> None:
    """Write one constant to its place; ValueError if the weights do not give it."""
    what = f"a constant of its graph, {json.dumps(recipes.written(each.recipe))[:120]},"
    try:
        size = 2 * each.recipe.count(weights)
        if size != each.size:
            raise ValueError(f"it has {size} bytes instead of {each.size}")
        place = constants[each.offset : each.offset + size].view(np.float16)
        with np.errstate(all="ignore"):  # whoever reads the graph asks whether all are finite
            each.recipe.into(place, weights)
    except (KeyError, IndexError, ValueError, TypeError) as problem:
        raise ValueError(f"{what} does not follow from its weights ({problem})") from problem


def _rows(made: Iterable[Made]) -> list[list[Any]]:
    return [[each.offset, each.size, recipes.written(each.recipe)] for each in made]


def _row(raw: Any) -> tuple[int, int, Recipe]:
    offset, size, recipe = raw
    if not isinstance(offset, int) or not isinstance(size, int) or min(offset, size) < 0:
        raise ValueError("the constants of its graph lie nowhere")
    return offset, size, recipes.read(recipe)


def _deflated(plain: bytes) -> str:
    return base64.b64encode(zlib.compress(plain, 9)).decode()


def _inflated(text: str) -> bytes:
    """ValueError for what is longer than any graph: a few bytes could fill the memory."""
    inflating = zlib.decompressobj()
    plain = inflating.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    if not inflating.eof:
        raise ValueError(f"its graph is cut off, or has more than {MOST_BYTES / 1e6:.0f} MB")
    return plain
