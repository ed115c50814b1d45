"""snet4:scorefootprints: how many of the footprints are right, how many are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterVectorLayer,
    QgsVectorLayer,
)

from .. import vectors
from ..engine_client import Facts
from ..temporary import temporary_folder
from ..texts import tr
from .base import Snet4Algorithm, kept_columns


class ScoreFootprints(Snet4Algorithm):
    """The SpaceNet 4 score of two layers."""

    ICON = "score.svg"

    def name(self) -> str:
        """Stable: scripts depend on it."""
        return "scorefootprints"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Score footprints")

    def shortDescription(self) -> str:
        """The tooltip."""
        return self.unless_missing(
            tr("Compares footprints with the truth, as the SpaceNet 4 challenge does.")
        )

    def tags(self) -> list[str]:
        """What people may search for."""
        return tr("buildings,accuracy,F1,precision,recall,IoU,validation").split(",")

    def shortHelpString(self) -> str:
        """The panel beside the dialog."""
        return tr(
            "Compares two layers of polygons, or two SpaceNet tables (.csv). A footprint is right "
            "when it overlaps a true building that no better one took by more than half (IoU above "
            "0.5). Precision is the share of footprints that are right, recall the share of true "
            "buildings that were found, F1 their harmonic mean."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Parameters and outputs; their names are stable."""
        kinds = [QgsProcessing.SourceType.TypeVector]
        self.add(
            QgsProcessingParameterVectorLayer("PROPOSALS", tr("Footprints that were found"), kinds),
            tr("Polygons, or a SpaceNet table; a field 'confidence' decides who chooses first."),
        )
        self.add(
            QgsProcessingParameterVectorLayer("TRUTH", tr("True footprints"), kinds),
            tr(
                "Polygons of the same ground, or a SpaceNet table of the same images; a field "
                "'height_m' is compared with the heights that were found."
            ),
        )
        for name, label in (
            ("F1", tr("F1, 0 to 1")),
            ("PRECISION", tr("Precision, 0 to 1")),
            ("RECALL", tr("Recall, 0 to 1")),
            ("TP", tr("Right")),
            ("FP", tr("Wrong")),
            ("FN", tr("Missed")),
            ("MEAN_F1", tr("Mean F1 of the look categories (tables only)")),
            ("HEIGHT_ERROR", tr("Median error of the heights, m (where both have them)")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Hand both over as files, ask the engine, show a table."""
        with temporary_folder() as folder:
            job = {"kind": "score"}
            for name, key in (("PROPOSALS", "proposals"), ("TRUTH", "truth")):
                layer = self.parameterAsVectorLayer(parameters, name, context)
                job[key] = _file(layer, folder / key, context)
                if Path(job[key]).parent == folder:
                    self.stand_ins.add(job[key], layer.name())
            with self.asked(job, feedback) as result:
                score = result["score"]
                by_category = bool(result["categories_seen"])
        for line in _table(score, by_category):
            feedback.pushConsoleInfo(kept_columns(line))
        total = score["total"]
        outputs = {name: total[name.lower()] for name in ("F1", "PRECISION", "RECALL")}
        outputs |= {name: total[name.lower()] for name in ("TP", "FP", "FN")}
        if by_category:
            outputs["MEAN_F1"] = score["mean_f1"]
        errors = score.get("heights", {}).get("all", {})
        if errors.get("count"):
            outputs["HEIGHT_ERROR"] = errors["median_abs_m"]
            feedback.pushInfo(
                tr("Heights: median error {error:.2f} m, of {count} buildings.").format(
                    error=errors["median_abs_m"], count=errors["count"]
                )
            )
        return outputs


def _file(layer: QgsVectorLayer, target: Path, context: QgsProcessingContext) -> str:
    """The layer as the engine reads it; `target` is a name without an ending."""
    if vectors.is_table(layer):
        return vectors.table_file(layer, target.with_suffix(".csv"))
    return vectors.written_buildings(layer, target.with_suffix(".gpkg"), context)


def _table(score: Facts, by_category: bool) -> list[str]:
    """The score as lines of text."""
    rows = dict(score["categories"]) if by_category else {}
    rows[tr("all")] = score["total"]
    head = (tr("F1"), tr("precision"), tr("recall"), tr("right"), tr("wrong"), tr("missed"))
    lines = [f"{'':16}" + "".join(f"{name:>11}" for name in head)]
    for name, tally in rows.items():
        shares = "".join(f"{tally[key]:11.4f}" for key in ("f1", "precision", "recall"))
        counts = "".join(f"{tally[key]:11d}" for key in ("tp", "fp", "fn"))
        lines.append(f"{name:16}" + shares + counts)
    return lines
