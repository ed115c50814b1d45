"""Open so many damaged files of one kind, as the engine would: `damaged.py KIND COUNT FOLDER`.

Anything but a result or our own error ends the process with a traceback; a file that takes
more than 10 seconds ends it by SIGALRM. Prints JSON.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from helpers.bright import Bright, write_town
from snet4core.errors import Snet4Error
from snet4core.jobs.job import Job
from snet4core.jobs.run import run_job
from snet4core.layers.read import read_buildings
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.parts.plan import Choices
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput

LIMIT_S = 10


def picture(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    good = write_town(folder / "good.tif", shape=(70, 80))

    def open_(path: Path) -> object:
        job = Job(
            (SceneInput(str(path)),),
            Choices(off_nadir_deg=30.0),
            folder / "o.gpkg",
            overwrite=True,
            stop_at_error=True,
        )
        return run_job(job, Bright(), Silent())

    return good, open_


def table(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    good = folder / "good.csv"
    rows = [
        f'Pan-Sharpen_Atlanta_nadir7,{n},"POLYGON (({n} 5, {n} 30, 40 30, 40 5, {n} 5))",0.9'
        for n in range(30)
    ]
    good.write_text("\n".join(["ImageId,BuildingId,PolygonWKT_Pix,Confidence", *rows, ""]))
    return good, read_buildings


def layer(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    good = folder / "good.geojson"
    features = [
        {
            "type": "Feature",
            "properties": {"confidence": 0.5},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[n, 0], [n, 1], [n + 0.5, 1], [n, 0]]],
            },
        }
        for n in range(30)
    ]
    good.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return good, read_buildings


def model(folder: Path) -> tuple[Path, Callable[[Path], object]]:
    """Flips fall into the card at the front of the file, and now and then into the weights."""
    import torch

    from snet4core.model import weights
    from snet4core.model.header import read_header
    from snet4core.model.network import OffNadirNet

    torch.set_num_threads(1)
    architecture = Architecture(encoder="resnet18", decoder_channels=(8, 8, 8))
    good = folder / "good.safetensors"
    weights.save(
        good, OffNadirNet(architecture).eval(), Card("small", architecture, WindowSettings(64, 32))
    )

    def open_(path: Path) -> object:
        read_header(path)
        return weights.load(path)

    return good, open_


KINDS = {"tif": picture, "csv": table, "geojson": layer, "safetensors": model}


def main(kind: str, count: int, folder: Path) -> None:
    good, open_ = KINDS[kind](folder)
    content, rng = good.read_bytes(), random.Random(11)
    head = 8 + int.from_bytes(content[:8], "little") if kind == "safetensors" else 1500
    refused, slowest_s = 0, 0.0
    unnamed: list[str] = []
    for number in range(count):
        spoilt = bytearray(content)
        stop = len(spoilt) if number % 4 == 0 else min(head, len(spoilt))
        for _ in range(rng.choice([1, 1, 2, 8])):
            spoilt[rng.randrange(stop)] = rng.choice([0, 34, 125, 255, rng.randrange(256)])
        path = folder / f"damaged-{number}{good.suffix}"
        path.write_bytes(spoilt)
        started = time.monotonic()
        signal.alarm(LIMIT_S)
        try:
            open_(path)
        except Snet4Error as problem:
            refused += 1
            if path.stem not in str(problem):
                unnamed.append(str(problem))
        finally:
            signal.alarm(0)
        slowest_s = max(slowest_s, time.monotonic() - started)
        path.unlink()
    facts = {"files": count, "refused": refused, "unnamed": unnamed, "slowest_s": slowest_s}
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
