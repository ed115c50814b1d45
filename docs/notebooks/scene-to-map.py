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
# # From a scene to a map
#
# One picture, its footprints as a GeoDataFrame, and both on a map that can be moved, without a
# network connection. Needs `pip install '.[notebooks]'` in snet4's folder; Jupyter opens this file
# as a notebook where jupytext is installed, and `python scene-to-map.py` runs it as it is.

# %%
import base64
from pathlib import Path
from tempfile import mkdtemp

import geopandas
import matplotlib.pyplot as plt
import rioxarray
from ipyleaflet import GeoData, ImageOverlay, Map

import snet4core
from snet4_training.scenes.dataset import parse_looks, write_scenes

# %% [markdown]
# ## A picture
#
# A rendered place, so that this notebook needs no download. Put the path of a picture of your own
# here instead, and its look below.

# %%
folder = Path(mkdtemp(prefix="snet4-notebook-"))
write_scenes(folder / "place", 1, parse_looks("nadir32"), 9_000_000, size_px=600)
scene = next(folder.rglob("Pan-Sharpen*.tif"))
truth_file = next(folder.rglob("*.geojson"))

# %% [markdown]
# `rioxarray` shows what is in it: bands, pixels, CRS.

# %%
picture = rioxarray.open_rasterio(scene, masked=True)
print(picture.sizes, picture.rio.crs, picture.rio.resolution())

# %% [markdown]
# ## Its footprints
#
# `off_nadir_deg` is how far the satellite looked aside, `azimuth_deg` the direction from satellite
# to ground, clockwise from north. Leave both out where the file or its metadata tell them, as here:
# `found.look` says what was taken and from where.

# %%
found = snet4core.detect(scene, save_maps=folder / "maps.tif")
print(found.look)
print(len(found), "buildings;", *found.warnings)

# %% [markdown]
# As a GeoDataFrame, everything that GeoPandas can do is at hand. Areas are true ground areas, in
# any CRS.

# %%
buildings = found.to_geodataframe()
print(buildings[["confidence", "area_m2"]].describe().round(2))

# %% [markdown]
# ## Another threshold
#
# The maps were kept, so that other footprints cost no second inference.

# %%
for threshold in (0.3, 0.5, 0.7):
    again = snet4core.polygonize(folder / "maps.tif", threshold=threshold)
    table = again.to_geodataframe()
    print(f"{threshold}: {len(table)} buildings, {table.area_m2.sum():.0f} m² in all")

# %% [markdown]
# ## A picture of it
#
# Red, green and blue are the bands 3, 2 and 1 of SpaceNet 4's order. The footprints lie on the
# ground, beside their roofs: that is the point.

# %%
colours = picture.sel(band=[3, 2, 1])
low, high = colours.quantile([0.02, 0.98]).values
shown = ((colours - low) / (high - low)).clip(0, 1)
left, bottom, right, top = picture.rio.bounds()

figure, axes = plt.subplots(figsize=(7, 7))
axes.imshow(shown.transpose("y", "x", "band"), extent=(left, right, bottom, top))
geopandas.read_file(truth_file).boundary.plot(ax=axes, color="cyan", linewidth=1)
buildings.boundary.plot(ax=axes, color="yellow", linewidth=1.5)
axes.set_title("found (yellow), true (cyan)")
figure.savefig(folder / "map.png", dpi=80)

# %% [markdown]
# ## A map that moves
#
# Web maps are in longitude and latitude, so the picture is warped for the map, and only for it. The
# map has no background from the network: the picture is the background.

# %%
warped = shown.rio.reproject("EPSG:4326", nodata=0)
west, south, east, north = warped.rio.bounds()
plt.imsave(folder / "overlay.png", warped.transpose("y", "x", "band").clip(0, 1).values)

# %%
data = base64.b64encode((folder / "overlay.png").read_bytes()).decode()
moving = Map(
    center=((south + north) / 2, (west + east) / 2), zoom=18, basemap={}, scroll_wheel_zoom=True
)
moving.add(ImageOverlay(url=f"data:image/png;base64,{data}", bounds=((south, west), (north, east))))
moving.add(
    GeoData(
        geo_dataframe=buildings.to_crs("EPSG:4326"),
        style={"color": "yellow", "weight": 2, "fillOpacity": 0.1},
    )
)
moving  # noqa: B018  # Jupyter shows the last value of a cell

# %% [markdown]
# ## Keep it
#
# The same file that `snet4 run` writes, for QGIS and everybody else.

# %%
found.write(folder / "footprints.gpkg")
print(geopandas.read_file(folder / "footprints.gpkg", layer="footprints").dtypes)
