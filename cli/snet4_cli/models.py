"""`snet4 models`: which models there are, and what each says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from snet4_cli import options

if TYPE_CHECKING:
    from snet4core.modelfile import Header


@click.group()
def models() -> None:
    """List and show models.

    \b
    snet4 models list
    snet4 models show default
    snet4 models show my-model.safetensors --json
    """


@models.command(name="list")
@options.as_json
def list_models(as_json: bool) -> None:
    """Name the models that came with snet4."""
    from snet4core.modelfile import read_header, shipped_models

    headers = {name: read_header(path) for name, path in shipped_models().items()}
    if as_json:
        click.echo(json.dumps({name: _facts(header) for name, header in headers.items()}, indent=2))
        return
    for name, header in headers.items():
        card = header.card
        click.echo(
            f"{name}\t{card.architecture.encoder}, bands {', '.join(card.architecture.bands)}, "
            f"{card.gsd_m:g} m, {header.path}"
        )


@models.command()
@click.argument("model")
@options.as_json
def show(model: str, as_json: bool) -> None:
    """Show the card of MODEL, a shipped name or a file."""
    from snet4core.modelfile import find_model, read_header

    header = read_header(find_model(model))
    if as_json:
        click.echo(json.dumps(_facts(header), indent=2))
        return
    for name, value in _facts(header).items():
        text = json.dumps(value) if isinstance(value, (dict, list, tuple)) else str(value)
        click.echo(f"{name:20} {text}")


def _facts(header: Header) -> dict[str, Any]:
    """Everything the header says, as plain JSON values."""
    facts: dict[str, Any] = json.loads(header.card.to_json())
    return {"file": str(header.path), "sha256": header.digest, **facts}
