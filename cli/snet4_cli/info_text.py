"""What `snet4 info` found, as text for people: one picture in lines, several in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snet4core.files.names import printable

_HEADINGS = ("scene", "size", "crs", "pixel", "bands", "look", "azimuth", "from")


def in_lines(facts: dict[str, Any]) -> str:
    """The facts about one picture, one a line."""
    look, model = facts["look"], facts.get("model")
    lines = [
        ("scene", printable(facts["scene"])),
        ("format", f"{facts['format'] or 'remote'}, {facts['dtype']}, stored in blocks of "
                   f"{facts['block'][0]} x {facts['block'][1]}"),
        ("size", f"{facts['rows']} rows x {facts['columns']} columns"),
        ("crs", facts["crs"]),
        ("pixel", f"{facts['gsd_m']:.3f} m on the ground"),
        ("bands", facts["bands_says"].removeprefix("Bands: ")),
        ("nodata", facts["nodata_says"]),
    ]  # fmt: skip
    if look:
        azimuth = "unknown" if look["azimuth_deg"] is None else f"{look['azimuth_deg']:g} degrees"
        lines.append(
            ("look", f"{look['off_nadir_deg']:g} degrees off nadir ({look['category']}), azimuth "
                     f"{azimuth}, from: {look['source']}")
        )  # fmt: skip
    else:
        lines.append(("look", "unknown"))
    if model:
        lines.append(
            ("model", f"{model['name']}: would see {model['rows']} x {model['columns']} pixels of "
                      f"{model['gsd_m']:.3f} m in {model['windows']} windows")
        )  # fmt: skip
    if engine := facts.get("runtime"):
        how = "{engine} on {device} in {precision}: {why}"
        lines.append(("runtime", engine.get("problem") or how.format(**engine)))
    lines += [("warning", warning) for warning in facts["warnings"]]
    return "\n".join(f"{name:8} {value}" for name, value in lines)


def in_table(pictures: Sequence[dict[str, Any]]) -> str:
    """Several pictures, one a row; then each warning once, with how many it is true of."""
    rows = [_HEADINGS, *(_row(facts) for facts in pictures if "problem" not in facts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    said: dict[str, int] = {}
    for facts in pictures:
        for warning in facts.get("warnings", ()):
            said[warning] = said.get(warning, 0) + 1
    lines += [f"warning  {text}" + (f" ({n} scenes)" if n > 1 else "") for text, n in said.items()]
    lines += [f"problem  {facts['problem']}" for facts in pictures if "problem" in facts]
    return "\n".join(lines)


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    look = facts["look"] or {}
    used = (f"{colour}={number or '-'}" for colour, number in facts["bands"].items())
    angle, azimuth = look.get("off_nadir_deg"), look.get("azimuth_deg")
    return (
        printable(facts["scene"]),
        f"{facts['rows']} x {facts['columns']}",
        facts["crs"] if len(facts["crs"]) <= 20 else "other",
        f"{facts['gsd_m']:.3f} m",
        ",".join(used),
        "unknown" if angle is None else f"{angle:g}",
        "unknown" if azimuth is None else f"{azimuth:g}",
        look.get("source", "-"),
    )
