"""`snet4 doctor`: a copyable report on what this installation can do, and why."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata

import click

from snet4_cli import options
from snet4core import __version__
from snet4core.errors import EngineError, Snet4Error
from snet4core.extras import how_to_install
from snet4core.kernels import compiled, stale

_LIBRARIES = (
    "openvino", "torch", "segmentation-models-pytorch", "timm", "rasterio", "fiona", "shapely",
    "scikit-image", "scipy", "numpy", "safetensors", "pyogrio", "jinja2", "pillow", "pyarrow",
    "accelerate", "distributed", "fsspec",
)  # fmt: skip


@click.command()
@options.engine
@options.as_json
def doctor(model: str, device: str, precision: str, engine: str, as_json: bool) -> None:
    """Show which versions, runtime, device, precision and model would be used, and why.

    The engine is loaded and the model's checksum compared; if there is a problem, the exit code
    is 4.
    """
    report = {
        "snet4": __version__,
        "python": f"{platform.python_version()} at {sys.executable}",
        "system": f"{platform.platform()}, {os.cpu_count()} processors",
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "geo": _geo(),
        "compiled loops": compiled() if as_json else _loops(),
        "set aside": _set_aside(),
        "model": _model(model),
        "runtime": _runtime(model, device, precision, engine),
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _tell(report)
    topics = (facts for facts in report.values() if isinstance(facts, dict))
    if any("problem" in facts for facts in topics):
        click.get_current_context().exit(EngineError.exit_code)


def _tell(report: Mapping[str, object]) -> None:
    for topic, facts in report.items():
        if isinstance(facts, dict):
            click.echo(topic)
            for name, value in facts.items():
                click.echo(f"  {name:28} {value}")
        else:
            click.echo(f"{topic:10} {facts}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _loops() -> str:
    """Who does the inner loops of shapes, heights and normalising."""
    if stale():
        return f"no: compiled from older source; {sys.executable} -m pip install -e ."
    return "yes" if compiled() else "no: numpy does the same, more slowly"


def _geo() -> dict[str, str]:
    try:
        import rasterio
        import shapely
    except ImportError as problem:
        library = (problem.name or "rasterio").partition(".")[0]
        return {"problem": f"{problem}; {how_to_install(library, anew=True)}"}
    return {
        "GDAL (rasterio)": rasterio.__gdal_version__,
        "PROJ (rasterio)": rasterio.__proj_version__,
        "GEOS (shapely)": ".".join(map(str, shapely.geos_version)),
    }


def _set_aside() -> dict[str, str]:
    """Environment variables of other programs that snet4 does not follow."""
    from snet4core.files.environment import variables_set_aside

    return variables_set_aside() or {"nothing": "no variable of another program is in the way"}


def _model(name: str) -> dict[str, str]:
    from snet4core.model.graph import check_whole
    from snet4core.model.header import find_model, read_header

    try:
        header = read_header(find_model(name))
        check_whole(header)
    except Snet4Error as problem:
        return {"problem": str(problem)}
    return {"file": str(header.path), "sha256": header.digest, "name": header.card.name}


def _runtime(model: str, device: str, precision: str, engine: str) -> dict[str, str]:
    from snet4core.maps.runtime import runtime_facts
    from snet4core.model.header import find_model, read_header

    try:
        header = read_header(find_model(model))
    except Snet4Error:
        return {"problem": "without a model there is nothing to compute"}
    return runtime_facts(header, device, precision, engine)  # type: ignore[arg-type]  # click checked it
