"""Draw the packages of snet4core and who imports whom, into docs/pictures/house.svg.

    python tools/draw_house.py [--check]

A table of imports: a row for each room, in the order of the law, and a column for each; a dot
says that the row imports the column. With the law kept, all dots lie below the diagonal. With
`--check` nothing is written; the exit code is 1 when the picture is not that of the code.
"""

from __future__ import annotations

import html
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "laws")]

from test_imports import CORE, ROW, modules, rooms_of, top  # noqa: E402  # the path

PICTURE = ROOT / "docs" / "pictures" / "house.svg"

CELL, LEFT, TOP = 26, 730, 120
INK, PALE, DOT, OWN = "#1f2937", "#e5e7eb", "#c2410c", "#fde3d3"
IDEAS = {
    "sentence": "Messages that name options, in the words of each front end.",
    "errors": "What snet4 refuses, and the exit codes.",
    "extras": "Which optional libraries are there.",
    "progress": "How far a long job is.",
    "settings": "How maps become polygons, in numbers.",
    "windows": "Windows and tiles of a raster.",
    "grid": "Pixels to map units and back.",
    "kernels": "The inner loops of shapes, compiled where they are.",
    "score": "The SpaceNet 4 score.",
}
"""Of the single modules; a package says its own."""


def imports() -> dict[tuple[str, str], int]:
    """(importing room, imported room) -> number of modules that do."""
    found: dict[tuple[str, str], int] = {}
    for module in modules():
        for other in {top(each) for each in rooms_of(module)} - {top(module)}:
            found[top(module), other] = found.get((top(module), other), 0) + 1
    return found


def idea(room: str) -> str:
    """One sentence about a room; that of the package where it is one."""
    if room in IDEAS:
        return IDEAS[room]
    text = (CORE / room / "__init__.py").read_text(encoding="utf-8")
    return text.removeprefix('"""').partition('"""')[0].splitlines()[0]


def size(room: str) -> str:
    count = sum(top(each) == room for each in modules())
    return f"{count} modules" if (CORE / room).is_dir() else "1 module"


def svg() -> str:
    """The whole picture."""
    rooms = [room for place in ROW for room in place]
    found, side = imports(), CELL * len(rooms)
    width, height = LEFT + side + 20, TOP + side + 20
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="16" y="34" font-size="19" font-weight="bold" fill="{INK}">snet4core: each room '
        "imports only what stands above it</text>",
        f'<text x="16" y="58" fill="{INK}">A dot: the room of this row imports the room of this '
        "column.</text>",
    ]
    for number, room in enumerate(rooms):
        y, x = TOP + CELL * number, LEFT + CELL * number
        base = y + CELL - 8
        out += [
            f'<path d="M16 {y + CELL}H{LEFT + side}" stroke="{PALE}"/>',
            f'<path d="M{x + CELL} {TOP}V{TOP + side}" stroke="{PALE}"/>',
            f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="{OWN}"/>',
            f'<text x="16" y="{base}" font-weight="bold" fill="{INK}">{room}</text>',
            f'<text x="110" y="{base}" font-size="11" fill="{INK}">',
            f"{html.escape(idea(room))}</text>",
            f'<text x="{LEFT - 8}" y="{base}" font-size="10" fill="#6b7280" text-anchor="end">'
            f"{size(room)}</text>",
            f'<text transform="translate({x + CELL - 9} {TOP - 8}) rotate(-60)" fill="{INK}">'
            f"{room}</text>",
        ]
        for column, other in enumerate(rooms):
            if count := found.get((room, other), 0):
                cx, cy = LEFT + CELL * column + CELL / 2, y + CELL / 2
                title = f"{room} imports {other} in {count} of its modules"
                out.append(
                    f'<circle cx="{cx:g}" cy="{cy:g}" r="{min(10, 3 + count):g}" fill="{DOT}">'
                    f"<title>{title}</title></circle>"
                )
    return "\n".join([*out, "</svg>", ""])


def main() -> int:
    """Write the picture, or say whether it is that of the code."""
    picture = svg()
    if sys.argv[1:] == ["--check"]:
        return int(not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture)
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
