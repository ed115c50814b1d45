# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Training on ten tiles
#
# Ten tiles in SpaceNet 4's own layout, a training of a few steps on the CPU, thresholds fitted on
# places that it never saw, and a first layer of a model of your own. It shows that everything
# fits together, in some minutes; a model that is worth something takes hours on a GPU. Needs
# `pip install '.[train,notebooks]'` in snet4's folder.

# %%
import json
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import geopandas
import matplotlib.pyplot as plt
import pandas

folder = Path(mkdtemp(prefix="snet4-notebook-"))


def snet4(*words: str | Path) -> None:
    """The command of that name, as typed in a terminal; a failure ends the notebook."""
    subprocess.run([sys.executable, "-m", "snet4_cli", *map(str, words)], check=True, cwd=folder)


# %% [markdown]
# ## The pictures
#
# Rendered, in the challenge's layout: a folder for each look, labels in `geojson`, looks in
# `looks.csv`. With the challenge's own folder nothing below changes but the path.

# %%
snet4("scenes", "SN4", "--tiles", "10", "--looks", "nadir8,nadir32,nadir47", "--size", "400", "-q")
labels = pandas.concat(geopandas.read_file(each) for each in folder.glob("SN4/geojson/*/*.geojson"))
print(len(list(folder.rglob("*.tif"))), "pictures,", len(labels), "buildings")

# %% [markdown]
# ## The recipe
#
# A recipe is a TOML file; a misspelt key is refused. This one is small in every respect.
# Chips are drawn from nine tenths of the places; whole places are held out, because all looks at
# one place show the same buildings.

# %%
recipe = """
[model]
name = "ten-tiles"
encoder = "tu-regnetx_004"
heads = ["any"]
shared_decoder = true

[data]
pictures = "SN4"
scene_chips = 0
picture_chips = 48
chip_px = 128
spare_px = 32
validation_chips = 4
folds = 10

[train]
steps = 12
batch = 6
warmup_steps = 4
learning_rate = 1e-3
bf16 = false
validate_steps = 6
"""
(folder / "recipe.toml").write_text(recipe)
snet4("train", "recipe.toml", "--out", "run", "--progress", "none")

# %% [markdown]
# ## The log
#
# One JSON object a line: what it runs on and the recipe first, then loss and scores.

# %%
lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
steps = pandas.DataFrame([line for line in lines if "loss" in line])
print(steps[["step", "loss", "seconds"]].to_string(index=False))
for line in lines:
    if "validation" in line:
        print(line["step"], {name: one["iou"] for name, one in line["validation"].items()})

# %% [markdown]
# Every validation draws what the network saw: true outlines in cyan, found ones in yellow.

# %%
sheet = sorted((folder / "run" / "pictures").glob("*.png"))[-1]
figure, axes = plt.subplots(figsize=(8, 8))
axes.imshow(plt.imread(sheet))
axes.axis("off")

# %% [markdown]
# ## Thresholds
#
# Fitted on the held-out places alone. A score to be believed needs others again.

# %%
held_out = folder / "run" / "chips" / "held-out.txt"
print(held_out.read_text())
snet4(
    "calibrate", "run/model.safetensors", "SN4", "--places", held_out, "-o", "mine.safetensors",
    "--progress", "none",
)  # fmt: skip
snet4("models", "show", "mine.safetensors")

# %% [markdown]
# ## Use it
#
# After twelve steps there may be nothing to be found yet.

# %%
scene = sorted(folder.rglob("*nadir8*.tif"))[0]
snet4("run", scene, "-o", "mine.gpkg", "--model", "mine.safetensors", "--progress", "none")
print(len(geopandas.read_file(folder / "mine.gpkg", layer="footprints")), "footprints")
