"""What a GPU computes: the same maps, the same training, and memory that runs out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available():
    pytest.skip("there is no CUDA GPU here", allow_module_level=True)

from helpers.networks import NORTH_30, SMALL, listening_net, whole_map  # noqa: E402  # needs torch
from helpers.training import bright_squares, small_recipe  # noqa: E402  # needs torch
from snet4_training.chips.batches import Steps  # noqa: E402  # needs torch
from snet4_training.loop.loop import CHECKPOINT, start, step_once, train  # noqa: E402  # needs torch
from snet4core.maps.predictor import Predictor  # noqa: E402  # needs torch
from snet4core.maps.runtime import Precision, choose_runtime  # noqa: E402  # needs torch
from snet4core.model import weights  # noqa: E402  # needs torch
from snet4core.model.card import Card, WindowSettings  # noqa: E402  # needs torch

GPU = torch.device("cuda:0")
WIDE = WindowSettings(core_px=448, halo_px=32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    weights.save(path, listening_net(), Card("small", SMALL, windows=WIDE), half=False)
    return path


def off_by(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2), ("bf16", 16)])
def test_maps_are_those_of_the_processor(model: Path, precision: Precision, tolerance: int) -> None:
    on_cpu = Predictor(model, choose_runtime("cpu", "fp32"))
    on_gpu = Predictor(model, choose_runtime("cuda", precision))
    assert on_gpu.runtime.device == "cuda:0"
    wanted = whole_map(on_cpu, NORTH_30, (900, 600))
    assert wanted.std() > 1
    assert off_by(whole_map(on_gpu, NORTH_30, (900, 600)), wanted) <= tolerance


def test_bf16_is_chosen_where_the_gpu_has_it(model: Path) -> None:
    chosen = Predictor(model, choose_runtime()).runtime
    assert chosen.device == "cuda:0"
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    assert chosen.precision == ("bf16" if has_it else "fp32")


def test_memory_that_really_runs_out_halves_the_batch(model: Path) -> None:
    """The allocator is given a few windows' worth, and the run goes on with fewer at once."""
    column = (448 * 16, 448)
    alone = Predictor(model, choose_runtime("cuda", "fp32"), batch=1)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    wanted = whole_map(alone, NORTH_30, column)
    enough = 2 * torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, enough / total))
    try:
        many = Predictor(model, choose_runtime("cuda", "fp32"), batch=16)
        found = whole_map(many, NORTH_30, column)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert many.batch < 16
    assert off_by(found, wanted) <= 2


def test_a_step_costs_the_same_loss_as_on_the_processor(tmp_path: Path) -> None:
    run = bright_squares(tmp_path / "run")
    recipe = small_recipe(tmp_path)
    architecture = recipe.model.architecture()
    losses = {}
    for device in (torch.device("cpu"), GPU):
        state = start(recipe, device)
        state.net.train()
        steps = Steps(recipe, run / "chips")
        losses[device.type] = [
            step_once(state, [steps[n].pin_memory().to(device)], recipe.train, architecture)
            for n in range(3)
        ]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=2e-3)


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    run = bright_squares(tmp_path / "run")
    train(small_recipe(tmp_path, ["train.loaders=1", "train.bf16=true"]), run)
    longer = small_recipe(tmp_path, ["train.loaders=1", "train.bf16=true", "train.steps=6"])
    train(longer, run, resume=True)
    saved = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
    assert saved["step"] == 6
    assert all(torch.isfinite(value).all() for value in saved["average"].values())
