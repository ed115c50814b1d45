"""The worker's jobs: one function for each kind, from a request to JSON values.

The work itself is `run_job`, `plan_for`, `polygonize` and `score`, as on the command line,
so that both give the same features.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from snet4core.errors import DependencyError, InputError
from snet4core.extras import how_to_install
from snet4core.files import names, outputs
from snet4core.jobs.job import Job
from snet4core.jobs.run import run_job
from snet4core.layers.features import ROOFS
from snet4core.layers.gpkg import LAYER
from snet4core.layers.write import write_layer
from snet4core.maps.look_guesser import LookGuesser
from snet4core.maps.maps import Maps
from snet4core.maps.runtime import shapers_for
from snet4core.model.card import Card
from snet4core.model.ensemble import combined_header
from snet4core.model.header import Header, find_model, read_header
from snet4core.parts.plan import Plan, plan_for
from snet4core.scene.inputs import SceneInput
from snet4core.sentence import Sentence
from snet4core.worker.facts import engine_facts
from snet4core.worker.request import Request

if TYPE_CHECKING:
    from snet4core.maps.predictor import Predictor
    from snet4core.worker.channel import Telling

Facts = dict[str, Any]

S_PER_MPIX = {"cpu": 2.0, "cuda": 0.05, "mps": 0.5}
"""What a megapixel costs before anything was measured on this machine: the right order of
magnitude for two CPU cores without matrix units and for a common GPU, not more."""

_START_S = 5.0
"""Loading the network and writing the layer."""

_RESULT = "footprints.gpkg"

_WORTH_SAYING = ("nodata",)
"""Parts of a scene's description that the client does not put into words of its own."""


def plan(request: Request, telling: Telling) -> Facts:
    """What `extract` would do; reads pixels and loads a network to guess or doubt a look only."""
    header = _header(request)
    decided = plan_for(_scene(request), header, request.choices, LookGuesser(header))
    return _plan_facts(request, header, decided)


def extract(request: Request, telling: Telling) -> Facts:
    """Write the footprints of one scene to a temporary GeoPackage, as `snet4 run` would."""
    send = telling.channel.send
    header = _header(request)
    guesser = LookGuesser(header)
    decided = plan_for(_scene(request), header, request.choices, guesser)
    send("plan", **_plan_facts(request, header, decided))
    known = {key: text for key, text in decided.description.items() if key not in _WORTH_SAYING}
    telling.channel.told.update(known.values())
    scratch = telling.scratch(request.folder)
    kept_maps = Path(request.save_maps) if request.save_maps else None
    job = Job(
        inputs=(_scene(request),),
        choices=request.choices,
        output=scratch / _RESULT,
        # Moved to its place when all is done: a run that is stopped leaves nothing there.
        maps=scratch / "maps.tif" if kept_maps else None,
        overwrite=True,
        stop_at_error=True,
        also_read=tuple(each.path for each in header.members),
    )
    job.check_places()
    if kept_maps is not None:
        outputs.check(kept_maps, overwrite=True, inputs=job.read_files())
    try:
        from snet4core.maps.predictor import Predictor
        from snet4core.maps.runtime import choose_runtime
    except ImportError as problem:
        raise DependencyError(
            f"The engine cannot load its network runtime ({problem}); "
            f"run: {how_to_install('openvino')}"
        ) from problem
    send("info", text="Loading the model.")
    wanted = choose_runtime(request.device, cast(Any, request.precision))
    peak = _Peak()
    predictor = Predictor(
        header,
        wanted,
        shapers=shapers_for(wanted, None),
        guesser=guesser,  # knows the look already that the plan told
        on_maps=peak.see,
    )
    started_s = time.monotonic()
    done = run_job(job, predictor, telling)
    seconds = time.monotonic() - started_s
    if job.maps is not None and kept_maps is not None:
        with outputs.replacing(kept_maps) as (temporary,):
            shutil.move(job.maps, temporary)
    return {
        "output": str(job.output),
        "layer": LAYER,
        "roofs_layer": _roofs_layer(decided.has_roofs, request),
        "count": done.footprints,
        "look": decided.description["look"],
        "off_nadir_deg": decided.look.off_nadir_deg,
        "device": _device(predictor),
        "seconds": round(seconds, 2),
        "s_per_mpix": seconds / _mpix(decided),
        "why_none": None if done.footprints else _why_none(decided, peak),
        "maps": str(kept_maps) if kept_maps else None,
    }


def polygonize(request: Request, telling: Telling) -> Facts:
    """Footprints from stored maps, as `snet4 polygonize` writes them."""
    from snet4core.parts.polygonize import polygonize as polygonized

    output = telling.scratch(request.folder) / _RESULT
    telling.channel.send("info", text=f"The same on the command line: {request.command()}")
    found = polygonized(request.path("maps"), request.choices, progress=telling)
    for value in found.description.values():
        telling.channel.send("info", text=value)
    count = write_layer(
        output,
        found.footprints,
        found.source.crs,
        found.description,
        roofs=request.choices.roofs,
        overwrite=True,
    )
    look = found.source.look
    return {
        "output": str(output),
        "layer": LAYER,
        "roofs_layer": _roofs_layer(found.source.has_roofs, request),
        "count": count,
        "look": f"{look.off_nadir_deg:g} degrees off nadir, from: {look.source}" if look else None,
        "why_none": None if count else "No probability in the maps reaches the threshold.",
    }


def preview(request: Request, telling: Telling) -> Facts:
    """Answer this request for shapes, and further ones, until stdin ends."""
    from snet4core.worker.previews import answers

    return answers(request, telling)


def score(request: Request, telling: Telling) -> Facts:
    """Score one layer or SpaceNet table against another."""
    from snet4core.layers.read import read_buildings
    from snet4core.score import aligned
    from snet4core.score import score as score_of

    telling.step(0, 3, "score")
    found = read_buildings(request.path("proposals"))
    telling.step(1, 3, "score")
    expected = read_buildings(request.path("truth"), confidence=False)
    telling.step(2, 3, "score")
    found, notes = aligned(found, expected)
    for note in notes:
        telling.channel.send("warning", text=note)
    result = score_of(found, expected)
    telling.step(3, 3, "score")
    return {"score": result.as_dict(), "categories_seen": sorted(result.categories_seen)}


def check(request: Request, telling: Telling) -> Facts:
    """Report versions, data folders, model and device of this installation."""
    return {"facts": engine_facts(request.model, request.device, request.precision)}


def model(request: Request, telling: Telling) -> Facts:
    """What the model was trained on."""
    return _model_facts(read_header(find_model(request.model)).card)


JOBS: dict[str, Callable[[Request, Telling], Facts]] = {
    "extract": extract,
    "plan": plan,
    "polygonize": polygonize,
    "preview": preview,
    "score": score,
    "check": check,
    "model": model,
}


def _header(request: Request) -> Header:
    """The model at the scales that are asked for, or at its card's."""
    return combined_header([read_header(find_model(request.model))], request.scales or ())


def _roofs_layer(has_roofs: bool, request: Request) -> str | None:
    """Name of the result's second layer, if it has one."""
    return ROOFS if has_roofs and request.choices.roofs is not False else None


def _device(predictor: Predictor) -> str:
    """Where the network was computed, and by what."""
    runtime = predictor.runtime
    return f"{runtime.device} ({runtime.engine}, {runtime.precision})"


def _scene(request: Request) -> SceneInput:
    location = str(request.path("scene"))
    if names.is_remote(location):
        raise InputError(f"{location}: a remote picture is not read; download it first.")
    return SceneInput(location)


def _mpix(decided: Plan) -> float:
    """Megapixels that the network will read: the whole scene, or about the chosen region."""
    rows, cols = decided.grid.shape
    area_px = decided.region.area_px
    return (rows * cols if area_px is None else max(1.0, area_px.area)) / 1e6


def _plan_facts(request: Request, header: Header, decided: Plan) -> Facts:
    """A plan as plain values, with the time it may take and the equal command line."""
    card, look, mpix = header.card, decided.look, _mpix(decided)
    measured = request.s_per_mpix is not None
    rate = request.s_per_mpix or S_PER_MPIX.get(request.device.split(":")[0], S_PER_MPIX["cpu"])
    return {
        "description": decided.description,
        "look": {
            "off_nadir_deg": look.off_nadir_deg,
            "azimuth_deg": look.azimuth_deg,
            "category": look.category,
            "source": look.source,
        },
        "gsd_m": decided.scene.grid.gsd_m,
        "seen_gsd_m": decided.grid.gsd_m,
        "model": _model_facts(card),
        "bands_says": decided.scene.bands.says,
        "shapes": request.shapes(decided.settings),
        "mpix": mpix,
        "estimate_s": _START_S + rate * mpix,
        "estimate_measured": measured,
        "warnings": list(decided.warnings),
        "command": _command(request, decided),
    }


def _model_facts(card: Card) -> Facts:
    return {
        "name": card.name,
        "gsd_m": card.gsd_m,
        "gsd_range_m": list(card.gsd_range_m),
        "off_nadir_range_deg": list(card.off_nadir_range_deg),
    }


def _command(request: Request, decided: Plan) -> str:
    """The equal command line, without `--regularize` where it is the model's default."""
    standard = decided.origin.shapes
    choices = request.choices
    if standard is not None and choices.regularize == standard.regularize:
        request = replace(request, choices=replace(choices, regularize=None))
    return request.command()


@dataclass(slots=True)
class _Peak:
    """What the maps of a run held, for the case that nothing is found."""

    seen: bool = False
    """Whether there were maps at all."""
    valid_px: int = 0
    highest: int = 0
    """The highest footprint probability where there is data, 0..255."""

    def see(self, maps: Maps) -> None:
        """Take in the maps of one window."""
        self.seen = True
        self.valid_px += int(np.count_nonzero(maps.valid_HW))
        if maps.valid_HW.any():
            self.highest = max(self.highest, int(maps.footprint_HW[maps.valid_HW].max()))


def _why_none(decided: Plan, peak: _Peak) -> Sentence:
    """The likely reason for an empty layer, and what to try."""
    settings, highest = decided.settings, peak.highest / 255
    if peak.seen and not peak.valid_px:
        return Sentence("The picture holds no data there; check its nodata value and the extent.")
    if peak.seen and highest < settings.threshold:
        return Sentence(
            f"The highest building probability was {highest:.2f}, below the threshold of "
            f"{settings.threshold:.2f}; ",
            _hint(decided, "try a lower threshold."),
        )
    smallest_m2, least = settings.min_area_m2, settings.min_confidence
    if least == 0:
        return Sentence(
            f"What looked like a building was smaller than {smallest_m2:g} m2; ",
            _hint(decided, "try a smaller minimum area."),
        )
    return Sentence(
        f"What looked like a building was smaller than {smallest_m2:g} m2, or its confidence "
        f"was below {least:g}; ",
        _hint(decided, "try less of either."),
    )


def _hint(decided: Plan, otherwise: str) -> str:
    """The plan's last warning if there is one, else general advice and `otherwise`."""
    if decided.warnings:
        return Sentence("the likely reason: ", decided.warnings[-1])
    return "perhaps there are no buildings; else check bands and look angle, or " + otherwise
