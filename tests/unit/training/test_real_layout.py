"""SpaceNet 4's own files from end to end, by nothing but documented commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from snet4_cli.main import snet4 as command
from snet4core.model import weights

RECIPE = """
[model]
name = "tiny"
encoder = "resnet18"
decoder_channels = [16, 8, 8]
[data]
chip_px = 64
spare_px = 0
scene_chips = 0
picture_chips = 24
folds = 3
validation_chips = 8
[train]
steps = 3
batch = 3
loaders = 0
bf16 = false
warmup_steps = 1
"""


def snet4(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("layout", "pictures"),
    [
        ("competition", "SN4/**/Pan-Sharpen/*.tif"),
        ("bucket", "SN4/**/PS-RGBNIR/*.tif"),
    ],
)
def test_scenes_train_calibrate_run_and_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, pictures: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    looks = "nadir8,nadir29,nadir47"
    snet4("scenes", "SN4", "--tiles", 3, "--looks", looks, "--layout", layout,
          "--size", 128, "--seed", 3)  # fmt: skip
    snet4("train", "tiny.toml", "--out", "run", "--set", "data.pictures=SN4")
    held_out = (tmp_path / "run" / "chips" / "held-out.txt").read_text().split()
    assert len(held_out) == 1

    fitted = snet4("calibrate", "run/model.safetensors", "SN4", "--places",
                   "run/chips/held-out.txt", "-o", "fitted.safetensors", "--json",
                   "--tta", "0.75,1", "--device", "cpu")  # fmt: skip
    assert set(json.loads(fitted.stdout)["categories"]) == {"nadir", "off-nadir", "very-off-nadir"}
    _, card = weights.load(tmp_path / "fitted.safetensors")
    assert "folder SN4, less the places of fold 0 of 3" in card.training_data
    assert card.scales == (0.75, 1.0), "what was fitted at scales is computed at them"

    snet4("run", pictures, "--model", "fitted.safetensors",
          "-o", "buildings.gpkg", "--csv", "submission.csv", "--device", "cpu")  # fmt: skip
    table = (tmp_path / "submission.csv").read_text().splitlines()
    ids = {line.split(",")[0] for line in table[1:]}
    assert len(ids) == 9, "every picture has a row, found buildings or not"
    assert all(re.fullmatch(r"Atlanta_nadir\d+_catid_[0-9A-F]{16}_\d+_\d+", name) for name in ids)

    truth = truth_of_all_looks(tmp_path)
    score = json.loads(snet4("score", "submission.csv", truth, "--json").stdout)
    assert set(score["categories"]) == {"nadir", "off-nadir", "very-off-nadir"}
    perfect = json.loads(snet4("score", truth, truth, "--json").stdout)
    assert perfect["mean_f1"] == 1.0


def truth_of_all_looks(folder: Path) -> Path:
    """The tables of all collects in one, as a reader would put them together."""
    tables = sorted((folder / "SN4" / "summaryData").glob("*.csv"))
    lines = [table.read_text().splitlines() for table in tables]
    whole = folder / "truth.csv"
    rows = [lines[0][0], *(line for each in lines for line in each[1:])]
    whole.write_text("\n".join(rows) + "\n")
    return whole
