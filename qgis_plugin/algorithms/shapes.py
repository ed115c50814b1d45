"""Parameters that decide how maps become footprints; two algorithms have them."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterNumber,
)

from ..engine_client import Facts, told
from ..texts import tr
from .base import Snet4Algorithm

_MODELS = 2
"""Place of "as the model says"; 0 and 1 are what a script's False and True mean."""

_NUMBER = QgsProcessingParameterNumber.Type.Double


def add_parameters(algorithm: Snet4Algorithm) -> None:
    """THRESHOLD, MIN_AREA, MIN_CONFIDENCE, SIMPLIFY, HEIGHT_MIN, REGULARIZE.

    What is left open comes from the model's card.
    """
    for name, label, help_text, highest in (
        (
            "THRESHOLD",
            tr("Threshold, 0 to 1 (empty: the model's)"),
            tr(
                "Probability from which a pixel is building. Lower finds more, and more that is "
                "none. Empty: what the model's card says for this look angle."
            ),
            1.0,
        ),
        (
            "MIN_AREA",
            tr("Minimum area, m² (empty: the model's)"),
            tr("Smaller footprints are dropped; true ground area in square metres."),
            1e9,
        ),
        (
            "MIN_CONFIDENCE",
            tr("Minimum confidence, 0 to 1 (empty: the model's)"),
            tr(
                "Footprints that are less likely right than this are dropped; 0 keeps all. "
                "Empty: what the model's card says for this look angle."
            ),
            1.0,
        ),
        (
            "SIMPLIFY",
            tr("Simplify within, m (empty: the model's)"),
            tr("How far a wall may lie from the edge of the mask, in metres; 0 keeps every pixel."),
            1e6,
        ),
        (
            "HEIGHT_MIN",
            tr("Minimum height, m (empty: all heights)"),
            tr(
                "Lower buildings are dropped, in metres; those of unknown height stay. Matters for "
                "models that give heights."
            ),
            1e4,
        ),
    ):
        algorithm.add(
            QgsProcessingParameterNumber(
                name, label, _NUMBER, optional=True, minValue=0, maxValue=highest
            ),
            help_text,
            advanced=True,
        )
    algorithm.add(
        QgsProcessingParameterEnum(
            "REGULARIZE",
            tr("Right angles"),
            options=[tr("no"), tr("yes"), tr("as the model says")],
            defaultValue=_MODELS,
            optional=True,
        ),
        tr(
            "Straight walls and right angles where the picture supports them. Left out or 2: what "
            "the model's card says; 1 or true: yes; 0 or false: no."
        ),
        advanced=True,
    )


def add_roofs(algorithm: Snet4Algorithm) -> None:
    """ROOFS: a second layer, of models that give roofs."""
    algorithm.add(
        QgsProcessingParameterFeatureSink(
            "ROOFS", tr("Roofs"), QgsProcessing.SourceType.TypeVectorPolygon, optional=True
        ),
        tr(
            "The layer of roofs where the picture shows them, with the numbers of their "
            "footprints; made only by models that give roofs."
        ),
    )


def with_states(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with REGULARIZE as a number; scripts and models give it as true or false."""
    given = parameters.get("REGULARIZE")
    words = {"true": 1, "yes": 1, "false": 0, "no": 0, "": _MODELS}
    if isinstance(given, bool):
        return {**parameters, "REGULARIZE": int(given)}
    if isinstance(given, str) and given.strip().lower() in words:
        return {**parameters, "REGULARIZE": words[given.strip().lower()]}
    return parameters


def problem(
    algorithm: Snet4Algorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> str | None:
    """A number that makes no sense, in the user's words."""
    for name, highest, sentence in (
        ("THRESHOLD", 1.0, tr("The threshold is {}; it is a probability between 0 and 1.")),
        ("MIN_AREA", 1e9, tr("The minimum area is {}; it is in square metres, 0 or more.")),
        ("MIN_CONFIDENCE", 1.0, tr("The minimum confidence is {}; it is between 0 and 1.")),
        ("SIMPLIFY", 1e6, tr("The tolerance is {}; it is in metres, 0 or more.")),
        ("HEIGHT_MIN", 1e4, tr("The minimum height is {}; it is in metres, 0 or more.")),
        ("OFF_NADIR", 80.0, tr("The off-nadir angle is {}; it is between 0 and 80 degrees.")),
        ("AZIMUTH", 360.0, tr("The azimuth is {}; it is between 0 and 360 degrees.")),
    ):
        if algorithm.parameterDefinition(name) is None:
            continue
        value = algorithm.number(parameters, name, context)
        if value is not None and not 0 <= value <= highest:
            return sentence.format(f"{value:g}")
    return None


def chosen(
    algorithm: Snet4Algorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> Facts:
    """All of them in the engine's words; None leaves it to the model's card."""
    regular = algorithm.parameterAsEnum(with_states(parameters), "REGULARIZE", context)
    found = {
        "threshold": algorithm.number(parameters, "THRESHOLD", context),
        "min_area_m2": algorithm.number(parameters, "MIN_AREA", context),
        "min_confidence": algorithm.number(parameters, "MIN_CONFIDENCE", context),
        "simplify_m": algorithm.number(parameters, "SIMPLIFY", context),
        "regularize": {0: False, 1: True}.get(regular),
    }
    height_min_m = algorithm.number(parameters, "HEIGHT_MIN", context)
    if height_min_m is not None:  # an engine of before does not know it
        found["height_min_m"] = height_min_m
    return found


def say_count(result: Facts, feedback: QgsProcessingFeedback) -> None:
    """How many there are, or why there are none."""
    if result["count"] == 1:
        feedback.pushInfo(tr("1 footprint found."))
    elif result["count"]:
        feedback.pushInfo(tr("{} footprints found.").format(result["count"]))
    else:
        reason = told(result, "why_none")
        feedback.pushWarning(tr("No footprints were found. {}").format(reason))
