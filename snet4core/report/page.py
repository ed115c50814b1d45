"""Writes the report: one HTML file with everything in it, that asks for nothing from outside.

Names of files, layers and attributes come from elsewhere. They reach the page in two ways only:
through Jinja, which escapes them, and in a block of JSON, from which the script takes them as
text. The page's own policy lets nothing run but its one script, and no request leave it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from snet4core import __version__
from snet4core.errors import OutputError
from snet4core.files import outputs
from snet4core.report.contents import Contents, contents_of, refuse_others
from snet4core.report.picture import Picture, picture_of
from snet4core.scene.scene import Scene

MOST_BYTES = 10_000_000
"""Size of a page, which is sent by mail and opened on telephones."""

_BINS = 20


def write_report(
    layer: Path,
    output: Path,
    *,
    scene: Scene | None = None,
    command: str = "",
    warnings: Sequence[str] = (),
    overwrite: bool = False,
) -> int:
    """Write the report of a layer as HTML; returns the number of buildings.

    `scene` is the picture that is drawn below them, in the CRS of which they are shown. Raises
    InputError for what cannot be read, OutputError for what cannot be written.
    """
    refuse_others(layer)
    outputs.check(output, overwrite=overwrite, inputs=[layer, *(scene.files if scene else ())])
    picture = None if scene is None else picture_of(scene)
    contents = contents_of(layer, scene, picture)
    page = rendered(contents, picture, command, warnings)
    with outputs.replacing(output, overwrite=overwrite) as (target,):
        target.write_text(page, encoding="utf-8", newline="\n")
    return len(contents.confidence_N)


def rendered(
    contents: Contents, picture: Picture | None, command: str = "", warnings: Sequence[str] = ()
) -> str:
    """The page. OutputError when it would be too large."""
    return page_of(
        "page.html",
        contents.name,
        name=contents.name,
        data=_map(contents, picture),
        numbers=_numbers(contents),
        plots=_plots(contents),
        facts=contents.facts,
        another=contents.of_another,
        warnings=warnings,
        made={
            "snet4": __version__,
            "layer's sha256": contents.sha256,
            **({"command": command} if command else {}),
        },
    )


def page_of(template: str, what: str, *, data: Any, **values: Any) -> str:
    """A template with style, script and `data`, which the script draws, or None.

    Raises OutputError, naming `what`, when the page would be too large.
    """
    style, script = _part("page.css"), _part("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    page = environment.from_string(_part(template)).render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=None if data is None else Markup(_json(data)),
        version=__version__,
        **values,
    )
    size = len(page.encode())
    if size > MOST_BYTES:
        raise OutputError(
            f"The report of {what} would have {size / 1e6:.0f} MB, more than "
            f"{MOST_BYTES / 1e6:.0f}; cut the layer into regions."
        )
    return page


def _part(name: str) -> str:
    return (files("snet4core.report") / "template" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _json(value: Any) -> str:
    """JSON that may stand in a script element: no `<` ends it, whatever the texts are."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _map(contents: Contents, picture: Picture | None) -> dict[str, Any]:
    return {
        "size": contents.size_px,
        "picture": None if picture is None else picture.uri,
        "outlines": contents.outlines,
        "roofs": contents.roofs,
        "fields": {name: _coded(values) for name, values in contents.fields.items()},
        "azimuth": contents.azimuth_deg,
        "offNadir": contents.off_nadir_deg,
    }


def _coded(values: Sequence[Any]) -> dict[str, Any]:
    """Values as a list of the different ones and numbers into it, where these are few."""
    known = list(dict.fromkeys(values))
    if len(known) > max(1, len(values) // 4):
        return {"values": list(values)}
    place = {value: number for number, value in enumerate(known)}
    return {"known": known, "values": [place[value] for value in values]}


def _numbers(contents: Contents) -> Mapping[str, str]:
    """What stands in large type."""
    count = len(contents.confidence_N)
    found = {"buildings": f"{count:,}"}
    if contents.drawn < count:
        found["on the map (the most confident)"] = f"{contents.drawn:,}"
    area, height = _known(contents.area_m2_N), _known(contents.height_m_N)
    if len(area):
        found["m² of ground"] = f"{area.sum():,.0f}"
        found["m², the middle building"] = f"{np.median(area):,.0f}"
    if len(height):
        found["m high, the middle building"] = f"{np.median(height):.1f}"
        found["buildings of known height"] = f"{len(height):,}"
    if contents.off_nadir_deg is not None:
        found["degrees off nadir"] = f"{contents.off_nadir_deg:.1f}"
    return found


def _plots(contents: Contents) -> list[dict[str, Any]]:
    """Histograms; a value that no building has gives none."""
    wanted = {
        "Confidence": (contents.confidence_N, (0.0, 1.0)),
        "Area, square metres": (contents.area_m2_N, None),
        "Height, metres": (contents.height_m_N, None),
    }
    return [
        _plot(title, _known(values), limits)
        for title, (values, limits) in wanted.items()
        if len(_known(values))
    ]


def _plot(
    title: str, values_N: NDArray[np.float64], limits: tuple[float, float] | None
) -> dict[str, Any]:
    """Bars of a histogram; the last one holds what lies beyond the 98th percentile."""
    low, high = limits or (0.0, float(np.percentile(values_N, 98)) or 1.0)
    counts, edges = np.histogram(np.clip(values_N, low, high), bins=_BINS, range=(low, high))
    most = int(counts.max())
    bars = [
        {
            "x": 10 + 14 * number,
            "height": round(94 * int(count) / most, 1),
            "says": f"{edge:.3g} to {after:.3g}: {count:,}",
        }
        for number, (count, edge, after) in enumerate(
            zip(counts, edges[:-1], edges[1:], strict=True)
        )
    ]
    beyond = "" if limits else " and more"
    return {
        "title": title, "bars": bars, "low": f"{low:.3g}", "high": f"{high:.3g}{beyond}",
        "most": f"{most:,}",
    }  # fmt: skip


def _known(values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    return values_N[np.isfinite(values_N)]
