"""Two processes train what one trains, and a killed run what an undisturbed one does."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import multiprocessing.process
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.training import bright_squares, small_recipe
from snet4_training.chips.sources import fill
from snet4_training.loop.loop import CHECKPOINT, MODEL, train
from snet4_training.loop.records import LOG
from snet4_training.loop.team import Team
from snet4core.errors import EngineError, UsageError

CHANGES = [
    "train.accumulate=2", "train.steps=3", "train.validate_steps=3", "train.checkpoint_steps=1",
    "data.validation_chips=1", "data.scene_chips=24",
]  # fmt: skip


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def launched(processes: int, recipe: Path, run: Path, *more: str) -> None:
    """`snet4 train` under torchrun, on the CPU."""
    changes = [word for change in (*CHANGES, *more) for word in ("--set", change)]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes), "-m", "snet4_cli", "train", str(recipe),
        "--out", str(run), "--resume", *changes,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def prepared(folder: Path) -> Path:
    """A run's folder whose bright squares pass for the recipe's chips."""
    bright_squares(folder)
    fill(small_recipe(folder, CHANGES), folder / "chips")
    return folder


def assert_same_weights(one: Path, other: Path) -> None:
    saved, again = (torch.load(run / CHECKPOINT, weights_only=True) for run in (one, other))
    assert saved["step"] == again["step"]
    for part in ("net", "average"):
        for name, value in saved[part].items():
            # By length and not one by one: of a gradient near 0 Adam makes a whole step, so that
            # its last digits, which depend on the number of threads, show in single weights.
            apart = float((again[part][name] - value).float().norm())
            assert apart <= 0.02 * float(value.float().norm()) + 1e-5, name


class StopsAfterOne:
    """A watcher that ends a run once step 1 is done and in the checkpoint."""

    def step(self, done: float, total: float, what: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    def cancelled(self) -> bool:
        return False


def stopped_after_one(run: Path) -> Path:
    """One process does the first of three steps."""
    prepared(run)
    with pytest.raises(KeyboardInterrupt):
        train(small_recipe(run, CHANGES), run, progress=StopsAfterOne())
    return run


@pytest.mark.skipif(
    sys.platform != "linux" or importlib.util.find_spec("accelerate") is None,
    reason="needs accelerate, and gloo's loopback on Linux",
)
def test_two_processes_go_on_with_the_losses_and_weights_of_one(tmp_path: Path) -> None:
    one, two = (stopped_after_one(tmp_path / name) for name in ("one", "two"))
    train(small_recipe(one, CHANGES), one, resume=True)
    launched(2, two / "small.toml", two)
    starts = [
        json.loads(line)["step"]
        for line in (two / LOG).read_text().splitlines()
        if '"event": "start"' in line
    ]
    assert starts == [0, 1]
    # The mean over both steps that two processes shared.
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
    assert_same_weights(one, two)


def test_more_processes_than_parts_are_refused(tmp_path: Path) -> None:
    run = prepared(tmp_path / "run")
    with pytest.raises(UsageError, match=r"2 processes cannot share train\.accumulate = 1"):
        train(small_recipe(run), run, team=Team(0, 2))


@pytest.mark.parametrize("operation", ["broadcast", "all_reduce"])
def test_a_process_whose_leader_has_ended_blames_no_bug(
    monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:18097.")

    monkeypatch.setattr(f"torch.distributed.{operation}", closed)
    team = Team(1, 2)
    with pytest.raises(EngineError, match="Another process of this training has ended"):
        team.wait() if operation == "broadcast" else team.add_up([torch.ones(2)])


@pytest.mark.skipif(sys.platform != "linux", reason="kills processes of a fork server")
@pytest.mark.parametrize("wanted_kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_run_killed_at_random_moments_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted_kills: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    changes = ["train.steps=12", "train.validate_steps=4", "train.checkpoint_steps=1"]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snet4_training.loop.loop"])
    whole, killed = (prepared(tmp_path / name) for name in ("whole", "killed"))
    recipe = small_recipe(tmp_path, changes)

    def begun(run: Path) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=train, args=(recipe, run, True))  # resumes
        process.start()
        return process

    undisturbed = begun(whole)
    started = time.monotonic()
    undisturbed.join(120)
    took_s = time.monotonic() - started
    assert undisturbed.exitcode == 0

    rng = np.random.default_rng()
    kills = 0
    for _ in range(10 * wanted_kills):
        process = begun(killed)
        process.join(float(rng.uniform(0.02, 0.9) * took_s) if kills < wanted_kills else 120)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
            continue
        assert process.exitcode == 0
        assert (killed / MODEL).read_bytes() == (whole / MODEL).read_bytes()
        if kills >= wanted_kills:
            break
        for name in (CHECKPOINT, MODEL):
            (killed / name).unlink()
    assert kills == wanted_kills
    assert process.exitcode == 0
