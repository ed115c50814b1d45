"""Would int8 do? The default model's graph quantised after training, against fp32.

    pip install nncf; python -m benchmarks.quality.int8 [--looks 1] [--choices NAME,NAME]
        [--run-side PX]

Which layers are quantised matters most, so several choices are measured: how much faster the
forward pass is (in turn), the share of pixels that change sides, F1 of the footprints against
those of fp32 and against the labels, on the real pictures; bfloat16, where the processor
computes it, stands beside them for comparison. Ranges are taken from rendered places. The goal is
an F1 of 0.99 against fp32; int8 is not offered because none reaches it. `--looks 2` computes
every window at the scales of the model's card. `--run-side 4096` also sets a whole run of each
choice, on a scene of that side, against its own forward pass, as `benchmarks.speed.run_speed` does.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import keep
from benchmarks.quality.real_pictures import in_map_units, pictures, placed, truth_of
from benchmarks.scene_file import write_scene
from benchmarks.speed import run_speed
from snet4_training.scenes import PLAIN, make_place, render
from snet4core.layers.buildings import Buildings
from snet4core.look.look import Look
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.ensemble import combined_header
from snet4core.model.graph import IMAGE, LOOK, openvino, read_graph
from snet4core.model.header import Header, find_model, graph_file, read_header
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices
from snet4core.scene.radiometry import band_range, normalise
from snet4core.score import Tally, score

PLACES, LOOKS_EACH, SIDE_PX = 24, 2, 576
SHOWN = 12
"""Pictures on which speed and flips are measured."""

NOT_CONVOLUTIONS = (
    "Add", "Multiply", "Divide", "MatMul", "GridSample", "Swish", "Interpolate", "Concat",
    "ReduceMean", "Sigmoid", "Subtract", "Gather", "Floor", "Pad",
)  # fmt: skip
"""The look comes in through these; quantised they cost 5 % of the pixels."""


Seen = tuple[NDArray[np.float32], Look]
"""A picture as the network sees it, (1, B, H, W), and its look."""


def rendered() -> list[Seen]:
    """Network inputs of places at any look, all kinds of them."""
    rng, found = np.random.default_rng(4242), []
    for number in range(PLACES):
        place = make_place(np.random.default_rng(8_100_000 + number), SIDE_PX, 0.5)
        for _ in range(LOOKS_EACH):
            look = Look(float(rng.uniform(5, 55)), float(rng.uniform(0, 360)), "option")
            counts_BHW = render(place, look, PLAIN)
            ranges = tuple(band_range(band_HW) for band_HW in counts_BHW)
            picture = normalise(counts_BHW, np.ones(counts_BHW.shape[1:], np.bool_), ranges)
            found.append((picture[None], look))
    return found


Choice = tuple[list[str], list[str]]
"""Names and types of layers that stay in fp32."""


def choices(model: Any) -> dict[str, Choice]:
    """What may be quantised -> what is left alone for it."""
    ordered = [(op.get_friendly_name(), op.get_type_name()) for op in model.get_ordered_ops()]
    is_convolution = [name for name, kind in ordered if "Convolution" in kind]
    # The guess of the look is made from the encoder's end, by the one mean there is.
    end = [kind for _, kind in ordered].index("ReduceMean")
    encoder = {name for name, _ in ordered[:end]}
    return {
        "all layers": ([], []),
        "convolutions": ([], list(NOT_CONVOLUTIONS)),
        "convolutions of the encoder": (
            [name for name in is_convolution if name not in encoder],
            list(NOT_CONVOLUTIONS),
        ),
        "convolutions of the decoder": (
            [name for name in is_convolution if name in encoder],
            list(NOT_CONVOLUTIONS),
        ),
    }


class Compared:
    """Footprints of one predictor in all real pictures, and what they are counted against."""

    def __init__(self, predictor: Predictor, folder: Path) -> None:
        self.found: list[Buildings] = []
        self.truth: list[Buildings] = []
        for picture in pictures():
            above = Choices(off_nadir_deg=0.0, bands=picture.bands)
            result = detect(placed(picture, folder), predictor, above)
            batches = list(result.footprints)
            polygons = [polygon for batch in batches for polygon in batch.polygons_N]
            confidence = [each for batch in batches for each in batch.confidence_N.tolist()]
            self.found.append(in_map_units(polygons, confidence))
            self.truth.append(in_map_units(list(truth_of(picture, result.plan.scene)), None))

    def f1(self, truth: list[Buildings]) -> float:
        """Over all pictures together."""
        total = Tally()
        for found, true in zip(self.found, truth, strict=True):
            total = total + score(found, true).total
        return round(total.f1, 4)


def maps_and_seconds(predictor: Predictor, shown: list[Seen]) -> tuple[NDArray[np.uint8], float]:
    """Maps of the pictures, (N, M, H, W), and how long they took."""
    network, head = predictor._network, predictor.card.architecture.heads[0]
    started = time.perf_counter()
    maps = [network.forward(picture_1BHW, look, head) for picture_1BHW, look in shown]
    return np.concatenate(maps), time.perf_counter() - started


def quantised(model: Any, inputs: list[Seen], left_alone: Choice) -> Any:
    """The model in int8 but for some layers."""
    asked = [
        {IMAGE: picture_1BHW, LOOK: np.array([look.features()], dtype=np.float32)}
        for picture_1BHW, look in inputs
    ]
    nncf = importlib.import_module("nncf")
    nncf.set_log_level(logging.ERROR)
    names, types = left_alone
    return nncf.quantize(
        model,
        nncf.Dataset(asked),
        subset_size=len(asked),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=names, types=types, validate=False),
    )


def variants(
    header: Header, inputs: list[Seen], wanted: list[str]
) -> Iterator[tuple[str, Predictor]]:
    """Each choice of layers, and a predictor with them in int8."""
    path = graph_file(read_header(find_model("default")))
    assert path is not None  # the default model is shipped with its graph
    graph = read_graph(read_header(path))

    def fresh() -> Any:
        tensor = openvino().Tensor(graph.constants)
        return openvino().Core().read_model(model=graph.xml, weights=tensor)

    if "bf16" in wanted or not wanted:
        yield "bf16", Predictor(header, choose_runtime("cpu", "bf16", "openvino"))
    for name, left_alone in choices(fresh()).items():
        if wanted and name not in wanted:
            continue
        predictor = Predictor(header, choose_runtime("cpu", "fp32", "openvino"))
        network: Any = predictor._network
        alone = network._network if header.scales else network
        alone._made = quantised(fresh(), inputs, left_alone), graph.constants
        # Else the program of fp32 would be taken, which is kept.
        alone._graph_key = hashlib.sha256(f"{alone._graph_key};{name}".encode()).hexdigest()
        yield name, predictor


def against_forward(
    predictor: Predictor, choice: str, side_px: int, folder: Path
) -> dict[str, Any]:
    """Whole runs on a scene beside the forward pass alone, of what `choice` names."""
    scene = folder / f"scene {side_px}.tif"
    if not scene.exists():
        write_scene(scene, side_px)
    return run_speed.measured(predictor, scene, side_px, 3, choice) | {"precision": choice}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--looks", type=int, choices=(1, 2), default=1)
    parser.add_argument("--choices", default="", help="names with commas; empty: all")
    parser.add_argument("--run-side", type=int, default=0, help="0: no whole runs")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    only = read_header(find_model("default"))
    header = combined_header([only], (1.0,) if asked.looks == 1 else ())
    exact = Predictor(header, choose_runtime("cpu", "fp32", "openvino"))
    inputs = rendered()
    shown = inputs[:: len(inputs) // SHOWN]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        reference = Compared(exact, Path(name))
        figures["fp32"] = {"f1": reference.f1(reference.truth)}
        print("fp32", figures["fp32"])
        wanted = [each for each in asked.choices.split(",") if each]
        for choice, predictor in variants(header, inputs, wanted):
            maps_and_seconds(predictor, shown[:1])  # compiled and warm
            faster = []
            for _ in range(3):
                before, exact_s = maps_and_seconds(exact, shown)
                after, int8_s = maps_and_seconds(predictor, shown)
                faster.append(exact_s / int8_s)
            found = Compared(predictor, Path(name))
            figures[choice] = {
                "times_faster": round(sorted(faster)[1], 2),
                "pixels_flipped": round(float(((before >= 128) != (after >= 128))[:, 0].mean()), 5),
                "f1": found.f1(reference.truth),
                "f1_against_fp32": found.f1(reference.found),
            }
            if asked.run_side:
                figures[choice]["run"] = against_forward(
                    predictor, choice, asked.run_side, Path(name)
                )
            print(choice, figures[choice], flush=True)
    keep("int8", figures)


if __name__ == "__main__":
    main()
