"""`snet4 info`: describes a picture, and how snet4 and a model would read it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snet4_cli import options

if TYPE_CHECKING:
    from snet4core.model.header import Header
    from snet4core.scene.inputs import SceneInput
    from snet4core.scene.scene import Scene


@click.command()
@click.argument("scene", metavar="SCENE")
@options.off_nadir
@options.azimuth
@options.looks
@options.bands
@options.nodata
@options.model
@click.option("--allow-remote", is_flag=True, help="Let SCENE be a URL.")
@options.as_json
def info(
    scene: str,
    off_nadir_deg: float | None,
    azimuth_deg: float | None,
    looks_table: Path | None,
    bands: str | None,
    nodata: float | None,
    model: str,
    allow_remote: bool,
    as_json: bool,
) -> None:
    """Show what SCENE is: size, place, bands, no data, look angle, and how it would be read.

    No pixels are read, unless the model has to guess the look from them. An unknown look
    angle is reported, and is not an error here.

    \b
      snet4 info scene.tif
      snet4 info scene.tif --bands 1,1,1,- --json
    """
    from snet4core.errors import EngineError, LookError
    from snet4core.look.sources import find_look
    from snet4core.maps import runtime
    from snet4core.maps.look_guesser import LookGuesser
    from snet4core.scene.scene import open_scene

    header = _header(model)
    model_bands = {"model_bands": header.card.architecture.bands} if header else {}
    found = open_scene(
        _only_one(scene, allow_remote),
        bands=bands,
        nodata=nodata,
        allow_remote=allow_remote,
        **model_bands,
    )
    facts = _facts(found)
    warnings = list(found.warnings)
    try:
        sighted = find_look(
            found,
            off_nadir_deg=off_nadir_deg,
            azimuth_deg=azimuth_deg,
            table=looks_table,
            guess=None if header is None else partial(LookGuesser(header).sighting, found),
        )
        look = sighted.look
        warnings += sighted.warnings
        facts["look"] = {
            "off_nadir_deg": look.off_nadir_deg,
            "azimuth_deg": look.azimuth_deg,
            "category": look.category,
            "source": look.source,
        }
    except (LookError, EngineError) as problem:
        facts["look"] = None
        warnings.append(str(problem))
    if header is not None:
        facts["model"] = _reading(found, header, facts["look"], warnings)
        facts["runtime"] = runtime.runtime_facts(header, "auto", "auto", "auto")
    facts["warnings"] = warnings
    click.echo(json.dumps(facts, indent=2) if as_json else _text(facts))


def _only_one(given: str, allow_remote: bool) -> SceneInput:
    from snet4core.errors import UsageError
    from snet4core.scene.inputs import expand

    scenes = expand([given], allow_remote=allow_remote)
    if len(scenes) > 1:
        raise UsageError(f"{given} names {len(scenes)} scenes; give one of them.")
    return scenes[0]


def _header(model: str) -> Header | None:
    """The model's header; None if no model is shipped: a picture can be described without."""
    from snet4core.model.header import DEFAULT_MODEL, find_model, read_header, shipped_models

    if model == DEFAULT_MODEL and model not in shipped_models():
        return None
    return read_header(find_model(model))


def _facts(scene: Scene) -> dict[str, Any]:
    """Facts about the file, as plain values."""
    grid = scene.grid
    rows, cols = grid.shape
    return {
        "scene": scene.location,
        "format": scene.admitted.driver,
        "rows": rows,
        "columns": cols,
        "block": list(scene.block_shape),
        "dtype": scene.dtype,
        "crs": grid.crs.to_string(),
        "transform": list(grid.transform[:6]),
        "gsd_m": grid.gsd_m,
        "bands": dict(zip(scene.bands.model_bands, scene.bands.file_bands, strict=True)),
        "mask_band": scene.bands.alpha_band,
        "bands_says": scene.bands.says,
        "nodata_says": scene.nodata.says,
    }


def _reading(
    scene: Scene, header: Header, look: dict[str, Any] | None, warnings: list[str]
) -> dict[str, Any]:
    """How the model would read the scene; adds to `warnings`."""
    from snet4core.scene.working_scale import working_scale

    card = header.card
    scale = working_scale(scene.grid.gsd_m, card.gsd_range_m, card.gsd_m)
    warnings += [f"{scene.admitted.shown}: {scale.warning}"] if scale.warning else []
    rows, cols = scale.grid(scene.grid).shape
    core_px = card.windows.core_px
    return {
        "name": card.name,
        "category": look["category"] if look else None,
        "rows": rows,
        "columns": cols,
        "gsd_m": scale.grid(scene.grid).gsd_m,
        "factor": scale.factor,
        "finer": scale.finer,
        "windows": -(-rows // core_px) * -(-cols // core_px),
    }


def _text(facts: dict[str, Any]) -> str:
    """The facts as text for people, one per line."""
    from snet4core.files.names import printable

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
