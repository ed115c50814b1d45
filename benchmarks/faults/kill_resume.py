"""Is nothing lost, and nothing twice, whenever `snet4 run --resume` is killed?

    python -m benchmarks.faults.kill_resume [--kills 200] [--polite 20] [--seed 1]

A scene of 30 parts and more, a small model. Runs are killed by SIGKILL at random moments and
started again until one lives; then the layer must have the bytes of an undisturbed run, and
nothing may lie beside it. Between kills: the layer is absent or complete, and no finished
part is ever written again. SIGTERM and Ctrl-C must end a run within 5 s with exit code 130.

Each run is `snet4 run` itself, in a process that is forked after the libraries were loaded:
so kills fall into the work, and not into imports.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a thread that runs cannot be forked

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from scipy import ndimage

from benchmarks.measured import keep

SHAPE = (700, 760)
"""6 x 6 parts of 2 x 2 windows of 64 px."""


@dataclass(slots=True)
class Seen:
    """What came of all the kills."""

    kills: int = 0
    polite: int = 0
    parts: int = 0
    footprints_bytes: int = 0
    rounds: int = 0
    """Runs that were killed until they lived."""
    in_part: int = 0
    """Kills after the first part was kept and before the layer was complete."""
    slowest_stop_s: float = 0.0
    """From SIGTERM or Ctrl-C to the end of the process."""
    wrong: list[str] = field(default_factory=list)
    """Every broken promise."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--polite", type=int, default=20, help="SIGTERM and Ctrl-C, each so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="snet4-kills-"))
    seen = killed_again_and_again(folder, options.kills, options.polite, options.seed)
    if options.json:
        print(json.dumps(asdict(seen)))
    else:
        print(
            f"{seen.kills} SIGKILLs ({seen.in_part} between first part and layer), {seen.polite} "
            f"polite ones, {seen.rounds} runs that ended, {seen.parts} parts: "
            f"{len(seen.wrong)} broken promises; slowest stop {seen.slowest_stop_s:.2f} s"
        )
        keep("kill_resume", asdict(seen))
    print("\n".join(seen.wrong), file=sys.stderr)
    return bool(seen.wrong)


def killed_again_and_again(folder: Path, kills: int, polite: int, seed: int) -> Seen:
    write_scene(folder / "town.tif")
    write_model(folder / "small.safetensors")
    rng, seen = random.Random(seed), Seen()
    plain = folder / "plain.gpkg"
    started = time.monotonic()
    ended(start(folder, plain, resume=False))
    whole_s = time.monotonic() - started
    whole = plain.read_bytes()
    seen.footprints_bytes = len(whole)
    output = folder / "out.gpkg"
    parts_folder = folder / "out.gpkg.parts"
    while seen.kills < kills or seen.polite < 2 * polite:
        kept: dict[str, int] = {}
        code, limit_s = None, whole_s
        while code != 0:
            pid = start(folder, output, resume=True)
            gentle = seen.kills >= kills or (seen.polite < 2 * polite and rng.random() < 0.1)
            sign = rng.choice([signal.SIGTERM, signal.SIGINT]) if gentle else signal.SIGKILL
            # Later kills come sooner or later: some in the first part, some in the merge.
            code = killed(pid, sign, rng.uniform(0, limit_s), seen)
            kept = _check(seen, folder, output, parts_folder, whole, kept, code)
            if output.exists() and not parts_folder.exists():
                code = 0  # killed on its way out: nothing is left to go on with
            if len(seen.wrong) > 10:
                return seen
        seen.rounds += 1
        beside = {each.name for each in folder.iterdir()}
        if beside - {"town.tif", "small.safetensors", "plain.gpkg", "out.gpkg", "log.txt"}:
            seen.wrong.append(f"left behind: {beside}")
        output.unlink(missing_ok=True)
    return seen


def killed(pid: int, sign: signal.Signals, after_s: float, seen: Seen) -> int:
    """Kill a run after a while, unless it ended before; its exit code."""
    give_up = time.monotonic() + after_s
    while time.monotonic() < give_up:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, sign)
    asked = time.monotonic()
    code = ended(pid)
    if sign == signal.SIGKILL:
        seen.kills += code == -signal.SIGKILL
    elif code != 0:
        seen.polite += 1
        seen.slowest_stop_s = max(seen.slowest_stop_s, time.monotonic() - asked)
        if code != 130:
            seen.wrong.append(f"{sign.name} gave exit code {code}")
    return code


def _check(
    seen: Seen,
    folder: Path,
    output: Path,
    parts_folder: Path,
    whole: bytes,
    kept: dict[str, int],
    code: int,
) -> dict[str, int]:
    """Note every broken promise; the parts that are kept now, with their times."""
    if code not in (0, 130, -signal.SIGKILL):
        seen.wrong.append(f"exit code {code}: {(folder / 'log.txt').read_text()[-500:]}")
    if output.exists() and output.read_bytes() != whole:
        seen.wrong.append("the layer has other bytes")
    if code == 0 and not output.exists():
        seen.wrong.append("a run that ended left no layer")
    now = {path.name: path.stat().st_mtime_ns for path in parts_folder.glob("*/*.part")}
    if code != 0 and not output.exists():
        seen.in_part += bool(now)
        if any(now.get(name) != time_ns for name, time_ns in kept.items()):
            seen.wrong.append("a finished part was lost or written again")
    seen.parts = max(seen.parts, len(now))
    return now


def start(folder: Path, output: Path, *, resume: bool) -> int:
    """`snet4 run` in a process of its own; its number."""
    # A run should not begin with half a second of imports.
    import scipy.sparse.csgraph
    import scipy.spatial  # noqa: F401  # loaded before the fork

    from snet4_cli import main as entry
    from snet4core.jobs import run  # noqa: F401  # loaded before the fork
    from snet4core.maps import predictor  # noqa: F401  # loaded before the fork

    (folder / "log.txt").unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        while not (folder / "log.txt").exists():  # a busy machine may take a while to begin
            time.sleep(0.001)
        return pid
    code: Any = 1
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # until `main` does the same
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = [
            "snet4", "run", str(folder / "town.tif"), "-o", str(output), "--off-nadir", "30",
            "--model", str(folder / "small.safetensors"), "--device", "cpu",
            "--precision", "fp32", "--threshold", "0.56", "--min-area", "1",
            *(["--resume"] if resume else []),
        ]  # fmt: skip
        entry.main()
    except SystemExit as leaving:
        code = leaving.code
    except KeyboardInterrupt:  # before `main` could take it
        code = 130
    finally:
        os._exit(int(code or 0))


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write_scene(path: Path, shape: tuple[int, int] = SHAPE) -> None:
    """Blobs of all sizes, so that a network that knows nothing finds shapes of all kinds."""
    rng = np.random.default_rng(7)
    fields_BHW = ndimage.gaussian_filter(rng.normal(size=(4, *shape)), (0, 3, 3))
    counts_BHW = np.clip(fields_BHW / fields_BHW.std() * 150 + 500, 1, 2000).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=shape[0], width=shape[1], dtype="uint16",
        crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000),
    ) as file:  # fmt: skip
        file.write(counts_BHW)


def write_model(path: Path) -> None:
    """A network that was never trained, with small windows, centred on its threshold."""
    import torch

    from snet4core.model import weights
    from snet4core.model.card import Architecture, Card, WindowSettings
    from snet4core.model.network import OffNadirNet

    torch.set_num_threads(1)
    torch.manual_seed(5)
    architecture = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8))
    card = Card("small", architecture, WindowSettings(64, 32))
    weights.save(path, OffNadirNet(architecture).eval(), card)


if __name__ == "__main__":
    sys.exit(main())
