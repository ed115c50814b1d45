"""`snet4 info`: describes pictures, and how snet4 and a model would read them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snet4_cli import options
from snet4core.sentence import AZIMUTH, OFF_NADIR

if TYPE_CHECKING:
    from snet4core.look.sources import LookFound
    from snet4core.model.header import Header
    from snet4core.scene.inputs import SceneInput
    from snet4core.scene.scene import Scene


@click.command()
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@options.off_nadir
@options.azimuth
@options.looks
@options.crs
@options.bands
@options.nodata
@options.model
@click.option("--allow-remote", is_flag=True, help="Let scenes be URLs.")
@options.as_json
def info(
    scenes: tuple[str, ...],
    off_nadir_deg: float | None,
    azimuth_deg: float | None,
    looks_table: Path | None,
    crs: str | None,
    bands: str | None,
    nodata: float | None,
    model: str,
    allow_remote: bool,
    as_json: bool,
) -> None:
    """Show what SCENE is: size, place, bands, no data, look angle, and how it would be read.

    SCENE is as in 'snet4 run'; several come as a table, and with --json as an array. No pixels
    are read, unless the model has to guess the look from them or doubts the azimuth of a large
    picture. An unknown look angle is reported, and is not an error here.

    \b
      snet4 info scene.tif
      snet4 info scene.tif --bands 1,1,1,- --json
      snet4 info 'scenes/*.tif'
    """
    from snet4_cli.info_text import in_lines, in_table
    from snet4core.errors import InputError, SomeScenesFailed
    from snet4core.scene.inputs import expand
    from snet4core.scene.scene import open_scene

    header = _header(model)

    def facts_of(scene: SceneInput) -> dict[str, Any]:
        model_bands = {"model_bands": header.card.architecture.bands} if header else {}
        found = open_scene(
            scene, crs=crs, bands=bands, nodata=nodata, allow_remote=allow_remote, **model_bands
        )
        given = {"off_nadir_deg": off_nadir_deg, "azimuth_deg": azimuth_deg, "table": looks_table}
        return _all_facts(found, header, given)

    inputs = expand(scenes, allow_remote=allow_remote)
    if len(inputs) == 1:
        facts = facts_of(inputs[0])
        click.echo(json.dumps(facts, indent=2) if as_json else in_lines(facts))
        return
    pictures: list[dict[str, Any]] = []
    for each in inputs:
        try:
            pictures.append(facts_of(each))
        except InputError as problem:
            pictures.append({"scene": each.location, "problem": str(problem)})
    click.echo(json.dumps(pictures, indent=2) if as_json else in_table(pictures))
    if bad := sum("problem" in facts for facts in pictures):
        raise SomeScenesFailed(f"{bad} of {len(pictures)} scenes cannot be used.")


def _all_facts(found: Scene, header: Header | None, given: dict[str, Any]) -> dict[str, Any]:
    """The file, the look and the model's reading; `given` is what the options say of looks."""
    from snet4core.errors import LookError
    from snet4core.maps import runtime

    facts = _facts(found)
    warnings = list(found.warnings)
    try:
        sighted = _sighted(found, header, given)
        look = sighted.look
        warnings += sighted.warnings
        facts["look"] = {
            "off_nadir_deg": look.off_nadir_deg,
            "azimuth_deg": look.azimuth_deg,
            "category": look.category,
            "source": look.source,
        }
    except LookError as problem:
        facts["look"] = None
        warnings.append(str(problem))
    if header is not None:
        facts["model"] = _reading(found, header, facts["look"], warnings)
        facts["runtime"] = runtime.runtime_facts(header, "auto", "auto", "auto")
    facts["warnings"] = warnings
    return facts


def _sighted(found: Scene, header: Header | None, given: dict[str, Any]) -> LookFound:
    """The look, guessed where no source knows it; without a network, what the sources know."""
    from snet4core.errors import EngineError, LookError
    from snet4core.look.sources import LookFound, find_look
    from snet4core.maps.look_guesser import LookGuesser

    guess = None if header is None else partial(LookGuesser(header).sighting, found)
    try:
        return find_look(found, guess=guess, **given)
    except EngineError as problem:
        why = str(problem).rpartition("; ")[0] or str(problem).rstrip(".")
    try:
        known = find_look(found, **given)
    except LookError:
        raise LookError(
            f"The look cannot be guessed ({why}); give it with ", OFF_NADIR, "."
        ) from None
    if known.look.azimuth_deg is not None:
        return known  # it would only have been compared with a guess
    warning = f"The azimuth cannot be guessed ({why}); give it with {AZIMUTH}."
    return LookFound(known.look, (*known.warnings, warning))


def _header(model: str) -> Header | None:
    """The model's header; None if no model is shipped: a picture can be described without."""
    from snet4core.model.ensemble import header_of
    from snet4core.model.header import DEFAULT_MODEL, find_model, shipped_models

    if model == DEFAULT_MODEL and model not in shipped_models():
        return None
    return header_of(find_model(model))


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
    name = scene.admitted.shown
    scale = working_scale(scene.grid.gsd_m, card.gsd_range_m, card.gsd_m, name)
    warnings += [f"{name}: {scale.warning}"] if scale.warning else []
    rows, cols = scale.grid(scene.grid).shape
    core_px = card.windows.core_px
    return {
        "name": card.name,
        "category": look["category"] if look else None,
        "rows": rows,
        "columns": cols,
        "gsd_m": scale.grid(scene.grid).gsd_m,
        "coarser": scale.coarser,
        "finer": scale.finer,
        "windows": -(-rows // core_px) * -(-cols // core_px),
    }
