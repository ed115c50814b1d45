"""snet4:polygonizemaps: another threshold on stored maps, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
)

from .. import destinations, results
from ..handover import file_of_layer
from ..texts import tr
from . import shapes
from .base import Snet4Algorithm

_NUMBER = QgsProcessingParameterNumber.Type.Double


class PolygonizeMaps(Snet4Algorithm):
    """From probability maps to footprints."""

    ICON = "polygonize.svg"

    def name(self) -> str:
        """Stable: scripts depend on it."""
        return "polygonizemaps"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Footprints from stored maps")

    def shortDescription(self) -> str:
        """The tooltip."""
        return self.unless_missing(
            tr("Tries another threshold on maps that were kept, in seconds.")
        )

    def tags(self) -> list[str]:
        """What people may search for."""
        return tr("buildings,polygonize,vectorize,threshold,probability").split(",")

    def shortHelpString(self) -> str:
        """The panel beside the dialog."""
        return tr(
            "Turns probability maps, as 'Extract building footprints' keeps them, into the same "
            "footprints; or into others, with another threshold, minimum area or tolerance. The "
            "network is not needed again. Maps from elsewhere will do: one band (or two, the "
            "second the walls between houses), 0 to 255 or 0 to 1."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Parameters and outputs; their names are stable."""
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", tr("Probability maps")),
            tr("The file that 'Extract building footprints' kept under SAVE_MAPS."),
        )
        for name, label, highest in (
            ("OFF_NADIR", tr("Off-nadir angle, degrees (empty: as the maps say)"), 80),
            ("AZIMUTH", tr("Azimuth, degrees (empty: as the maps say)"), 360),
        ):
            self.add(
                QgsProcessingParameterNumber(
                    name, label, _NUMBER, optional=True, minValue=0, maxValue=highest
                ),
                tr("Written into the layer; plays no part in the outlines."),
                advanced=True,
            )
        shapes.add_parameters(self)
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Building footprints"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
            tr("The layer of footprints, in the maps' CRS."),
        )
        shapes.add_roofs(self)
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of footprints")))
        self.addOutput(QgsProcessingOutputString("LOOK", tr("Look angle, and where it stood")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """What can be said before the engine is asked."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        path = file_of_layer(layer) if layer else None
        if layer is not None and (path is None or not Path(path).is_file()):
            return False, tr(
                "The layer {name} is no file on this computer; save it as a GeoTIFF first."
            ).format(name=layer.name())
        problem = shapes.problem(self, parameters, context) or destinations.problem(
            self, parameters, [layer]
        )
        if problem:
            return False, problem
        return super().checkParameterValues(shapes.with_states(parameters), context)

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Ask the engine, then fill the layer."""
        azimuth = self.number(parameters, "AZIMUTH", context)
        job = {
            "kind": "polygonize",
            "maps": file_of_layer(self.parameterAsRasterLayer(parameters, "INPUT", context)),
            "off_nadir_deg": self.number(parameters, "OFF_NADIR", context),
            "azimuth_deg": None if azimuth is None else azimuth % 360,
            "shown_output": destinations.shown_output(parameters),
            **shapes.chosen(self, parameters, context),
        }
        with self.asked(job, feedback) as result:
            layer_id = results.copied(self, parameters, "OUTPUT", context, result, result["layer"])
            roofs = results.copied_roofs(self, parameters, context, result, feedback)
        shapes.say_count(result, feedback)
        look = result["look"] or ""
        return {"OUTPUT": layer_id, "COUNT": result["count"], "LOOK": look, **roofs}
