"""Builds the card of a trained model from its recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snet4_training.recipe import DataRecipe, RealSource, Recipe
from snet4core import __version__
from snet4core.model.card import Card
from snet4core.model.header import find_model, read_header


def card_of(recipe: Recipe) -> Card:
    """The model's card, as far as the recipe determines it."""
    data, licence = [], ["MIT."]
    if recipe.data.scene_chips:
        data.append("Rendered places of snet4's own (seen from 0 to 55 degrees, any azimuth).")
    for source in recipe.data.real_sources:
        data.append(_trained_on(source, recipe.data))
        folder = Path(source.folder).name
        licence.append(
            source.licence
            or f"Trained on the pictures and footprints of {folder}: see their licence."
        )
    data_text, licence_text = " ".join(data), " ".join(licence)
    card = Card(
        name=recipe.model.name,
        architecture=recipe.model.architecture(),
        gsd_m=recipe.data.gsd_m,
        gsd_range_m=recipe.data.gsd_range_m,
        off_nadir_range_deg=(0.0, 55.0),
        training_data=data_text,
        licence=licence_text,
        code_version=__version__,
    )
    start = recipe.model.start_from
    if not start:
        return card
    before = read_header(find_model(start)).card
    card = going_on(card, before)
    if (
        recipe.train.only_heights
    ):  # the guess of the look and what confidence says stay as they were
        card = replace(
            card, confidence_knots=before.confidence_knots, look_error_deg=before.look_error_deg
        )
    return card


def _trained_on(source: RealSource, data: DataRecipe) -> str:
    """What the card says of a source of real pictures."""
    labels = {"footprints": "footprints", "roofs": "roofs as seen"}[source.labels]
    said = source.about or f"Pictures and {labels} of the folder {Path(source.folder).name}."
    if source.lean:
        return (
            f"{said} Pictures as taken, and leaned over by geometry to random looks with random "
            "building heights."
        )
    held_out = f"less the places of fold {data.fold} of {data.folds} (seed {data.split_seed})"
    return f"{said.removesuffix('.')}, {held_out}."


def going_on(card: Card, before: Card) -> Card:
    """The card of a model fine-tuned from another, whose data and licence it inherits.

    So it does that model's shape settings, which fit better than the defaults until
    `snet4 calibrate`, and the scales at which they were fitted.
    """
    data = f"{card.training_data} Went on from {before.name}: {before.training_data}"
    licence = f"{card.licence} {before.name}: {before.licence}"
    return replace(
        card,
        training_data=data,
        licence=licence,
        shapes=before.shapes,
        scales=before.scales,
    )
