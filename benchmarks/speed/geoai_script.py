"""What a user of geoai-py writes; run by the Python of its own environment.

    ENV/bin/python benchmarks/speed/geoai_script.py SCENE WEIGHTS MASK OUT

SCENE holds what the network wants times 255, because geoai divides by 255. The windows
overlap by 64 pixels, as the plain script's do; geoai's default of 256 takes thrice as long.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from geoai.train import semantic_inference_on_geotiff
from geoai.utils import raster_to_vector


def main() -> None:
    scene, weights, mask, out = sys.argv[1:5]
    how = json.loads(Path(weights).with_suffix(".json").read_text())
    net = smp.Unet(
        how["encoder"], encoder_weights=None, in_channels=how["bands"], classes=2,
        decoder_channels=how["decoder_channels"],
    )  # fmt: skip
    net.load_state_dict(torch.load(weights, weights_only=True))
    semantic_inference_on_geotiff(
        net, scene, mask, window_size=512, overlap=64, batch_size=4,
        num_channels=how["bands"], num_classes=2, probability_threshold=how["threshold"],
        device=torch.device("cpu"), quiet=True,
    )  # fmt: skip
    raster_to_vector(
        mask, out, threshold=0, min_area=how["min_area_m2"],
        simplify_tolerance=how["simplify_m"], output_format="gpkg",
    )  # fmt: skip


if __name__ == "__main__":
    main()
