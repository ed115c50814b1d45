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
# # Judging a model over angles
#
# A model that is good from above may be poor from aside. This notebook looks at one place from
# several angles, scores each as SpaceNet 4 does, and draws the curve; then it asks what a wrong
# look costs. Needs `pip install '.[notebooks]'` in snet4's folder.

# %%
import logging
from pathlib import Path
from tempfile import mkdtemp

import geopandas
import matplotlib.pyplot as plt
import pandas
import shapely

import snet4core
from snet4_training.scenes.dataset import parse_looks, write_scenes
from snet4core import score

# %% [markdown]
# ## Places seen from several angles
#
# `snet4 scenes` does the same on the command line. With SpaceNet 4's own pictures, point `folder`
# to them: names, layout and tables are the same. Judge on places that the model was not trained on.

# %%
folder = Path(mkdtemp(prefix="snet4-notebook-"))
looks = parse_looks("nadir8,nadir25,nadir34,nadir47")
write_scenes(folder, 1, looks, 7_000_001, size_px=500)
scenes = sorted(folder.rglob("Pan-Sharpen*.tif"))
print(len(scenes), "pictures")

# %% [markdown]
# ## The truth
#
# SpaceNet's tables: one row a building, its outline in pixels. `ImageId` names the place and the
# look.

# %%
tables = [pandas.read_csv(path) for path in sorted(folder.glob("summaryData/*.csv"))]
rows = pandas.concat(tables, ignore_index=True)
truth = score.Buildings.of(list(rows.ImageId), list(shapely.from_wkt(rows.PolygonWKT_Pix)))
print(rows.groupby("ImageId").size().to_string())

# %% [markdown]
# ## What the model finds
#
# The model is loaded once. It is told the look of each picture here, although the name tells it,
# so that it can be told a wrong one below.

# %%
model = snet4core.load_model("default")


def proposals(angle_off_deg: float = 0.0, azimuth_off_deg: float = 0.0) -> score.Buildings:
    """Footprints of all pictures, the model being told looks that are off by so much."""
    ids, polygons, confidences = [], [], []
    for look in looks:
        scene = next(each for each in scenes if f"{look.folder}_" in each.name)
        found = snet4core.detect(
            scene,
            model=model,
            off_nadir_deg=max(0.0, look.off_nadir_deg + angle_off_deg),
            azimuth_deg=(look.azimuth_deg + azimuth_off_deg) % 360,
        ).all()
        ids += [scene.stem.removeprefix("Pan-Sharpen_")] * len(found)
        polygons += list(found.polygons_px_N)
        confidences += list(found.confidence_N)
    return score.Buildings.of(ids, polygons, confidences)


result = score.score(proposals(), truth)
print(f"mean F1 over the three categories: {result.mean_f1:.3f}")

# %% [markdown]
# ## F1 over the angle
#
# The mean of the challenge is over three categories; the curve shows where it comes from.

# %%
curve = pandas.DataFrame(
    {
        "off_nadir_deg": [look.off_nadir_deg for look in looks],
        "f1": [
            next(tally.f1 for name, tally in result.images.items() if f"{look.folder}_" in name)
            for look in looks
        ],
    }
)
print(curve.to_string(index=False))

figure, axes = plt.subplots(figsize=(6, 3.5))
axes.plot(curve.off_nadir_deg, curve.f1, marker="o")
axes.set(xlabel="off-nadir angle, degrees", ylabel="F1 at IoU 0.5", ylim=(0, 1))
figure.savefig(folder / "curve.png", dpi=80)

# %% [markdown]
# ## What a wrong look costs
#
# The network hears the look. An angle that is off by some degrees hardly matters. An azimuth that
# was counted from the wrong end, from the ground to the satellite as many vendors do, halves the
# score: every foot is sought on the wrong side of its roof. snet4 warns of contradictions with the
# name, which are meant here, so the log is kept to errors.

# %%
logging.getLogger("snet4").setLevel(logging.ERROR)
for wrong in ((-10.0, 0.0), (10.0, 0.0), (0.0, 20.0), (0.0, 180.0)):
    each = score.score(proposals(*wrong), truth)
    print("angle off by {:+.0f}, azimuth by {:.0f}".format(*wrong), f"mean F1 {each.mean_f1:.3f}")

# %% [markdown]
# ## Which buildings were missed
#
# `score.match_pairs` says who matched whom, in one picture: those of the truth that nobody took are
# the missed ones. Often they are the small ones.

# %%
image = max(result.images, key=lambda name: result.images[name].fn)
found = snet4core.detect(next(each for each in scenes if image in each.name), model=model).all()
order = found.confidence_N.argsort()[::-1]
true_polygons = truth.polygons_N[truth.image_id_N == image]
tally, pairs = score.match_pairs(found.polygons_px_N[order], true_polygons, min_area=20)
missed = geopandas.GeoSeries(true_polygons).drop(list(pairs[:, 1]))
print(image, tally)
print("areas of the missed, m²:", (missed.area * 0.25).round().tolist())
