"""What a trained model says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snet4_training.recipe import Recipe
from snet4core import __version__
from snet4core.card import Card
from snet4core.modelfile import find_model, read_header


def card_of(recipe: Recipe) -> Card:
    """What the model file says of itself, as far as the recipe knows it."""
    data, licence = "", "MIT."
    if recipe.data.scene_chips:
        data = "Rendered places of snet4's own (seen from 0 to 55 degrees, any azimuth)."
    if recipe.data.pictures:
        folder = Path(recipe.data.pictures).name
        data += (
            f" Pictures and footprints of the folder {folder}, less the places of fold "
            f"{recipe.data.fold} of {recipe.data.folds} (seed {recipe.data.split_seed})."
        )
        licence += f" Trained on the pictures and footprints of {folder}: see their licence."
    if recipe.data.banepa:
        data += (
            " Drone pictures of Banepa, Nepal (training columns), as taken and leaned over by "
            "geometry; footprints of OpenStreetMap. Look angles of leaned pictures and heights "
            "of their buildings are drawn at random."
        )
        licence += (
            " Trained on imagery of OpenAerialMap contributors (CC BY 4.0) and footprints of "
            "OpenStreetMap contributors (ODbL)."
        )
    card = Card(
        name=recipe.model.name,
        architecture=recipe.model.architecture(),
        gsd_m=recipe.data.gsd_m,
        gsd_range_m=recipe.data.gsd_range_m,
        off_nadir_range_deg=(0.0, 55.0),
        training_data=data.strip(),
        licence=licence,
        code_version=__version__,
    )
    start = recipe.model.start_from
    return going_on(card, read_header(find_model(start)).card) if start else card


def going_on(card: Card, before: Card) -> Card:
    """The card of a model that went on from another: what that one knew is still in it.

    Its settings fit the new maps better than those of no model, until `snet4 calibrate`.
    """
    data = f"{card.training_data} Went on from {before.name}: {before.training_data}"
    licence = f"{card.licence} {before.name}: {before.licence}"
    return replace(card, training_data=data, licence=licence, shapes=before.shapes)
