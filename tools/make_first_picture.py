"""Draws the first picture of README.md and of the site: python tools/make_first_picture.py

A corner of the place of `snet4 demo`, enlarged, from its three angles: what was found, over the
true footprints. Half a minute of a processor.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import shapely
from PIL import Image, ImageDraw, ImageFont

from snet4core.layers.read import read_buildings
from snet4core.layers.spacenet import image_id
from snet4core.scene.preview import FOUND_COLOUR, TRUTH_COLOUR, natural_colours
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import open_scene
from snet4core.windows import Window

TARGET = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "preview.png"
CORNER = Window(590, 560, 250, 235)
"""What is shown of the place: row and column of its corner, height and width, in pixels."""
ZOOM = 1.8
TABLES = (("truth.csv", TRUTH_COLOUR, 2), ("footprints.csv", FOUND_COLOUR, 3))
"""What is drawn, first the lowest: name, colour, width of the line in pixels."""
STRIP_PX = 40
"""Height of the strip with a title, or with what the colours mean."""


def panel(scene: Path, demo: Path) -> Image.Image:
    """One angle: the corner of the picture, true footprints thin, those that were found bold."""
    opened = open_scene(scene)
    with SceneReader(opened) as reader:
        rgb_HW3 = natural_colours(*reader.read(Window(0, 0, *opened.grid.shape)))
    rows, cols = CORNER.slices()
    corner = Image.fromarray(rgb_HW3[rows, cols])
    size = (round(corner.width * ZOOM), round(corner.height * ZOOM))
    drawn = corner.resize(size, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(drawn)
    image = image_id(scene.name)
    for table, colour, width in TABLES:
        buildings = read_buildings(demo / table, confidence=table != "truth.csv")
        for ring in shapely.get_rings(buildings.polygons_N[buildings.image_id_N == image]):
            corners = (shapely.get_coordinates(ring) - (cols.start, rows.start)) * ZOOM
            line = [tuple(xy) for xy in corners.tolist()]
            pen.line(line, fill="#000000", width=width + 2, joint="curve")
            pen.line(line, fill=colour, width=width, joint="curve")
    framed = Image.new("RGB", (drawn.width, drawn.height + STRIP_PX), "#101418")
    framed.paste(drawn, (0, STRIP_PX))
    write(framed, (8, 7), f"{degrees(scene)} degrees off nadir", "#ffffff")
    return framed


def degrees(scene: Path) -> int:
    """The angle in a picture's name."""
    return int(scene.name.split("_nadir")[1].split("_")[0])


def write(picture: Image.Image, place: tuple[int, int], text: str, colour: str) -> None:
    """Put a line of text into a picture."""
    font = ImageFont.load_default(size=22)
    ImageDraw.Draw(picture).text(place, text, fill=colour, font=font)


def main() -> None:
    """Render, find, draw; or draw what a folder of `snet4 demo` has."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(sys.argv[1] if len(sys.argv) > 1 else folder)
        if not (demo / "footprints.csv").is_file():
            command = [sys.executable, "-m", "snet4_cli", "demo", "--output", demo, "--overwrite"]
            subprocess.run(command, check=True)
        scenes = demo.glob("scenes/*/Pan-Sharpen/*.tif")
        panels = [panel(scene, demo) for scene in sorted(scenes, key=degrees)]
    gap = 6
    width = sum(each.width for each in panels) + gap * (len(panels) - 1)
    whole = Image.new("RGB", (width, panels[0].height + STRIP_PX), "#101418")
    left = 0
    for each in panels:
        whole.paste(each, (left, 0))
        left += each.width + gap
    write(whole, (8, panels[0].height + 7), "found by snet4", FOUND_COLOUR)
    write(whole, (200, panels[0].height + 7), "true footprints", TRUTH_COLOUR)
    whole.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(TARGET)


if __name__ == "__main__":
    main()
