"""snet4 against geoai-py: the same picture, the same weights, command against command.

    python -m benchmarks.speed.against_geoai [--side PX] [--rounds N] [--env FOLDER] [--model FILE]

geoai-py is installed from PyPI into an environment of its own (several GB; kept in FOLDER).
It knows plain U-Nets and no look. So both compute a model without a sweep and with a map of
every pixel (`--model`; by default one that is trained here for some minutes), and the look of
this scene is folded into its weights: a gate's scale goes into the convolution behind it, its
shift into the batch norm. The picture is given to geoai-py normalised already, and the time
for that does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

from benchmarks.measured import Measured, keep, measured
from benchmarks.scene_file import LOOK, write_scene, write_truth
from benchmarks.speed.against_script import f1, snet4
from snet4core.errors import ModelError
from snet4core.model import weights
from snet4core.model.card import Card
from snet4core.model.header import graph_file, read_header
from snet4core.model.network import OffNadirNet
from snet4core.scene.radiometry import normalise
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.scene import open_scene

GOAL = 6.0
SCRIPT = Path(__file__).with_name("geoai_script.py")
RECIPE = Path(__file__).resolve().parents[2] / "training" / "recipes" / "experiment.toml"
PLAIN = ('model.heads=["any"]', "model.sweeps_lean=false", "model.maps_stride_px=1",
         "model.decoder_channels=[64,32,24,16,16]", "model.estimates_look=false",
         "train.steps=400")  # fmt: skip
"""What makes a plain U-Net of the recipe of experiments."""


def plain_model(run: Path) -> Path:
    """A model that a plain U-Net can hold, trained once into the folder `run`, with its graph."""
    model, snet4_command = run / "model.safetensors", [sys.executable, "-m", "snet4_cli"]
    if not model.exists():
        settings = [word for change in PLAIN for word in ("--set", change)]
        train = [*snet4_command, "train", RECIPE, "--out", run, "--workers", "2", *settings]
        subprocess.check_call(train)
    if graph_file(read_header(model)) is None:
        subprocess.check_call([*snet4_command, "models", "export", model])
    return model


def environment(folder: Path) -> tuple[Path, str]:
    """Python of an environment with geoai-py in it, and geoai-py's version."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.check_call([python, "-m", "pip", "install", "--quiet", "geoai-py"])
    asked = "from importlib.metadata import version; print(version('geoai-py'))"
    return python, subprocess.check_output([python, "-c", asked], text=True).strip()


def folded(net: OffNadirNet, head: str) -> dict[str, torch.Tensor]:
    """The state dict of segmentation-models-pytorch's U-Net that does the same at `LOOK`.

    Class 1 is the footprint, class 0 the constant 0, so that their softmax is the sigmoid.
    ModelError for a network that no plain U-Net can stand for.
    """
    architecture = net.architecture
    if architecture.sweeps_lean or architecture.maps_stride_px != 1 or not architecture.hears_look:
        raise ModelError("geoai-py knows plain U-Nets: no sweep, maps of every pixel, gates.")
    state = {f"encoder.{name}": value.clone() for name, value in net.encoder.state_dict().items()}
    branch = net.branches["shared" if architecture.shared_decoder else head]
    decoder = {f"decoder.{name}": v.clone() for name, v in branch.decoder.state_dict().items()}
    with torch.inference_mode():
        gates = branch.gate.outer(
            torch.nn.functional.silu(branch.gate.inner(torch.tensor([LOOK.features()])))
        )[0]
    channels = branch.gate.channels
    scales = (1 + gates[: sum(channels)]).split(channels)
    shifts = gates[sum(channels) :].split(channels)
    deepest, *skips = range(len(channels) - 1, -1, -1)
    for block in range(len(channels)):
        conv = f"decoder.blocks.{block}.conv1.0.weight"
        mean = f"decoder.blocks.{block}.conv1.1.running_mean"
        width = decoder[conv].shape[1]
        scale, shift = torch.ones(width), torch.zeros(width)
        if block == 0:
            scale[: channels[deepest]], shift[: channels[deepest]] = (
                scales[deepest],
                shifts[deepest],
            )
        if block < len(skips):
            level = skips[block]
            scale[-channels[level] :], shift[-channels[level] :] = scales[level], shifts[level]
        decoder[mean] -= (decoder[conv].sum(dim=(2, 3)) * shift).sum(dim=1)
        decoder[conv] *= scale[None, :, None, None]
    last = net.heads[head]
    decoder["segmentation_head.0.weight"] = torch.stack(
        [torch.zeros_like(last.weight[0]), last.weight[0]]
    )
    decoder["segmentation_head.0.bias"] = torch.stack([torch.zeros(()), last.bias[0]])
    return {name: value.detach() for name, value in {**state, **decoder}.items()}


def prepared(scene: Path, target: Path, card: Card) -> None:
    """The picture as the network wants it, times 255."""
    ranges = scene_ranges(open_scene(scene))
    with rasterio.open(scene) as file:
        counts, profile = file.read(), file.profile
    image = normalise(counts, np.ones(counts.shape[1:], dtype=bool), ranges) * 255
    profile.update(dtype="float32", compress=None, bigtiff="if_safer")
    for option in ("zlevel", "predictor"):
        profile.pop(option, None)
    with rasterio.open(target, "w", **profile) as file:
        file.write(image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--env", type=Path, default=Path("benchmarks/out/geoai-env"))
    parser.add_argument("--model", type=Path, help="default: one that is trained here")
    asked = parser.parse_args()
    model = asked.model or plain_model(Path("benchmarks/out/plain-unet"))
    net, card = weights.load(model)
    python, version = environment(asked.env)
    head = card.architecture.head_for(LOOK)
    shapes = card.shapes[LOOK.category]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = write_scene(folder / "scene.tif", asked.side)
        truth = write_truth(folder / "truth.gpkg", asked.side)
        prepared(scene, folder / "prepared.tif", card)
        torch.save(folded(net, head), folder / "unet.pt")
        how = {"encoder": card.architecture.encoder, "bands": len(card.architecture.bands),
               "decoder_channels": card.architecture.decoder_channels,
               "threshold": shapes.threshold, "min_area_m2": shapes.min_area_m2,
               "simplify_m": shapes.simplify_m}  # fmt: skip
        (folder / "unet.json").write_text(json.dumps(how))
        costs: dict[str, list[Measured]] = {"geoai-py": [], "torch": [], "openvino": []}
        for _ in range(asked.rounds):
            for way, past in costs.items():
                layer = folder / f"{way}.gpkg"
                if way == "geoai-py":
                    layer.unlink(missing_ok=True)
                    past.append(measured(
                        [python, SCRIPT, folder / "prepared.tif", folder / "unet.pt",
                         folder / "mask.tif", layer]
                    ))  # fmt: skip
                else:
                    past.append(snet4(scene, layer, way, model=str(model)))
        ways: dict[str, Any] = {}
        for way, past in costs.items():
            pairs = zip(costs["geoai-py"], past, strict=True)
            ways[way] = {
                "wall_s": [round(one.wall_s, 1) for one in past],
                "peak_mib": round(max(one.peak_mib for one in past)),
                "f1": round(f1(folder / f"{way}.gpkg", truth), 4),
                "times_faster": round(
                    statistics.median(rival.wall_s / one.wall_s for rival, one in pairs), 2
                ),
            }
            print(f"{way:9} {ways[way]}", flush=True)
        same = f1(folder / "torch.gpkg", folder / "geoai-py.gpkg")
        print(f"F1 of snet4 against geoai-py: {same:.3f}; goal {GOAL} times faster")
    keep(
        "against_geoai",
        {"version": version, "side_px": asked.side, "ways": ways, "f1_against_geoai": same,
         "python": sys.version.split()[0]},
    )  # fmt: skip


if __name__ == "__main__":
    main()
