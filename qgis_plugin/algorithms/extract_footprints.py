"""snet4:extractfootprints: a tilted picture in, a layer of footprints out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRectangle,
    QgsSettings,
)

from .. import destinations, handover, results, speed, vectors
from ..about import version
from ..engine_client import Facts, in_words_of_qgis, told
from ..provenance import Made
from ..temporary import temporary_folder
from ..texts import duration, tr
from . import shapes
from .base import Snet4Algorithm, tell

DEVICES = ["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps"]
SCALES = (None, [1.0], [0.7, 0.95, 1.0, 1.1])
"""Of each choice of LOOKS: the model's own, one, four."""

_NUMBER = QgsProcessingParameterNumber.Type.Double
_RUNS = "snet4/runs/{}"


class ExtractFootprints(Snet4Algorithm):
    """The main algorithm."""

    ICON = "extract.svg"

    def __init__(self) -> None:
        super().__init__()
        self._plan: Facts | None = None
        self._kind = "auto"
        self._export: handover.Export | None = None

    def name(self) -> str:
        """Stable: scripts depend on it."""
        return "extractfootprints"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Extract building footprints")

    def shortDescription(self) -> str:
        """The tooltip."""
        return self.unless_missing(
            tr("Finds building footprints in a satellite picture, however tilted it is.")
        )

    def tags(self) -> list[str]:
        """What people may search for."""
        return tr(
            "buildings,houses,roofs,off-nadir,satellite,deep learning,AI,detect,segment,vectorize"
        ).split(",")

    def shortHelpString(self) -> str:
        """The panel beside the dialog."""
        return (
            "<p>"
            + tr(
                "Finds building footprints in a satellite picture and draws them on the ground, "
                "not at the roof. Works without a network connection; the picture stays as it is."
            )
            + "</p><h3>"
            + tr("About the look angle")
            + "</h3><p>"
            + tr(
                "A picture that was taken at a slant shows roofs beside the ground they stand on: "
                "at 40 degrees, a house of 6 m leans by 5 m. The network has to know how tilted "
                "the picture is. The off-nadir angle is the angle at the satellite between "
                "straight down (0) and the line of sight; it is not the elevation, and not the "
                "incidence angle, which is a few degrees larger. The azimuth is the direction "
                "from the satellite to the ground, clockwise from north: roofs lean towards it. "
                "Leave both empty to read them from the picture's metadata (Maxar, Airbus, STAC) "
                "or from a SpaceNet 4 file name. If they are nowhere to be found, a model that "
                "has learned to guesses the angle and says so; any other asks for it. 0 is never "
                "assumed. The azimuth may stay unknown."
            )
            + "</p><h3>"
            + tr("Which pictures")
            + "</h3><p>"
            + tr(
                "GeoTIFF, JPEG 2000, ERDAS Imagine or ENVI files and virtual rasters of them, with "
                "a CRS, with blue, green and red bands, infrared if there is one, and pixels of "
                "about 0.3 to 1 m; other pixel sizes are resampled, and you are told when the "
                "model was not trained on them. Of any other layer (a tile service, a GeoPackage) "
                "QGIS first writes the area that is searched to a temporary GeoTIFF. A CRS that "
                "you set for the layer is used in place of the file's."
            )
            + "</p>"
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Parameters and outputs; their names are stable."""
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", tr("Satellite picture")),
            tr(
                "The picture to search, with a CRS: a raster file on this computer, or any other "
                "layer that QGIS can write to one."
            ),
        )
        self.add(
            QgsProcessingParameterExtent("EXTENT", tr("Search only here"), optional=True),
            tr("Footprints are looked for inside this box alone. Empty: the whole picture."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                "AOI",
                tr("Search only inside these polygons"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            tr(
                "Footprints are looked for inside the polygons of this layer alone, in any CRS; "
                "with a box as well, inside both. Empty: no limit."
            ),
        )
        self.add(
            QgsProcessingParameterNumber(
                "OFF_NADIR",
                tr("Off-nadir angle, degrees (empty: read from the scene)"),
                _NUMBER,
                optional=True,
                minValue=0,
                maxValue=80,
            ),
            tr(
                "How tilted the picture is: 0 is straight down, 30 is common. Empty: read from "
                "the picture's metadata or name."
            ),
        )
        azimuth = QgsProcessingParameterNumber(
            "AZIMUTH",
            tr("Azimuth from satellite to ground, degrees (empty: read from the scene)"),
            _NUMBER,
            optional=True,
            minValue=0,
            maxValue=360,
        )
        azimuth.setMetadata(
            {"widget_wrapper": {"class": f"{_package()}.scene_facts.AzimuthWidget"}}
        )
        self.add(
            azimuth,
            tr(
                "Direction in which the satellite looks, clockwise from north; roofs lean towards "
                "it. Empty: read from the picture's metadata; else guessed from how roofs lean, "
                "where the model is sure."
            ),
        )
        self.add(
            QgsProcessingParameterString("BANDS", tr("Bands"), optional=True),
            tr(
                "Which band is blue, green, red and infrared, as in 3,2,1,4; a minus for one that "
                "is missing; 1,1,1,- for a panchromatic picture. Empty: as the file says."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(
                "MODEL",
                tr("Model"),
                defaultValue="default",
                optional=True,
                # Without the second, a name without a dot would be refused.
                fileFilter=tr("Models (*.safetensors);;All files (*)"),
            ),
            tr("'default' for the model that comes with snet4, or a .safetensors file."),
            advanced=True,
        )
        shapes.add_parameters(self)
        self.add(
            QgsProcessingParameterEnum(
                "DEVICE",
                tr("Compute device"),
                options=DEVICES,
                defaultValue="auto",
                optional=True,  # a model's step need not name it
                usesStaticStrings=True,
            ),
            tr("Where the network is computed; auto takes a GPU where there is one."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum(
                "LOOKS",
                tr("Looks at each place"),
                options=[tr("the model's own"), tr("one, faster"), tr("four, slower")],
                defaultValue=0,
                optional=True,
            ),
            tr(
                "In how many sizes the network sees the picture. The default model is made for "
                "two; one takes a quarter less time and finds less, four take more than twice as "
                "long and find more, above all where the picture is tilted."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Building footprints"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
            tr("The layer of footprints, in the picture's CRS."),
        )
        shapes.add_roofs(self)
        self.add(
            QgsProcessingParameterRasterDestination(
                "SAVE_MAPS", tr("Probability maps"), optional=True, createByDefault=False
            ),
            tr(
                "Keeps what the network saw, so that 'Footprints from stored maps' can try other "
                "thresholds in seconds."
            ),
        )
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of footprints")))
        self.addOutput(QgsProcessingOutputString("LOOK", tr("Look angle, and where it stood")))
        self.addOutput(QgsProcessingOutputString("DEVICE", tr("Device that was used")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """What can be said before the engine is asked."""
        for problem in (
            vectors.problem(self.parameterAsSource(parameters, "AOI", context)),
            self._picture_problem(parameters, context),
            shapes.problem(self, parameters, context),
            destinations.problem(self, parameters, self._read(parameters, context)),
        ):
            if problem:
                return False, problem
        model = self.parameterAsString(parameters, "MODEL", context)
        if Path(model).suffix and not Path(model).is_file():
            return False, tr("There is no model file {}; choose another.").format(model)
        return super().checkParameterValues(shapes.with_states(parameters), context)

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Ask the engine, then fill the layer."""
        with temporary_folder() as folder:
            job = self.job("extract", parameters, context)
            job |= self._area(parameters, context, folder)
            if self._export is not None:
                feedback = QgsProcessingMultiStepFeedback(2, feedback)
                box = self._box(parameters, context, self._export.crs)
                job |= self._written(self._export, job, box, folder, feedback)
                feedback.setCurrentStep(1)
            return self._found(job, parameters, context, feedback)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """In the main thread, to which layers belong: what to write of one that is no file."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is not None and handover.engine_file(layer) is None:
            self._export = handover.export_of(layer)
        return super().prepareAlgorithm(parameters, context, feedback)

    def _found(
        self,
        job: Facts,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """The engine's footprints as layers."""
        self._kind = kind_of_run(job)
        started_s = time.monotonic()
        with self.asked(job, feedback, self._hear) as result:
            made = self._made(job, result)
            layer_id = results.copied(
                self, parameters, "OUTPUT", context, result, result["layer"], made
            )
            roofs = results.copied_roofs(self, parameters, context, result, feedback, made)
        self._remember(time.monotonic() - started_s, float(result.get("seconds") or 0.0))
        shapes.say_count(result, feedback)
        outputs = {
            "OUTPUT": layer_id,
            "COUNT": result["count"],
            "LOOK": result["look"],
            "DEVICE": result["device"],
            **roofs,
        }
        if result.get("maps"):
            # As it was given: QGIS knows the layer to load by this, not by the engine's spelling.
            outputs["SAVE_MAPS"] = job["save_maps"]
            results.styled_maps(job["save_maps"], context, made)
        return outputs

    def job(self, kind: str, parameters: dict[str, Any], context: QgsProcessingContext) -> Facts:
        """The parameters in the engine's words."""
        azimuth = self.number(parameters, "AZIMUTH", context)
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        job: Facts = {
            "kind": kind,
            "scene": handover.engine_file(layer) if layer else str(parameters.get("INPUT")),
            "off_nadir_deg": self.number(parameters, "OFF_NADIR", context),
            "azimuth_deg": None if azimuth is None else azimuth % 360,
            "bands": self.parameterAsString(parameters, "BANDS", context).strip() or None,
            "model": self.parameterAsString(parameters, "MODEL", context).strip() or "default",
            "device": self.parameterAsEnumString(parameters, "DEVICE", context) or "auto",
            "shown_output": destinations.shown_output(parameters),
            **shapes.chosen(self, parameters, context),
        }
        scales = SCALES[self.parameterAsEnum(parameters, "LOOKS", context)]
        if scales is not None:
            job["scales"] = scales
        if parameters.get("EXTENT") and layer:
            box = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
            if not box.isNull():
                job["bounds"] = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
        crs = handover.crs_of(layer) if layer and job["scene"] else None
        if crs is not None:
            job["crs"] = crs
        if destinations.is_wanted(parameters, "SAVE_MAPS"):
            job["save_maps"] = self.parameterAsOutputLayer(parameters, "SAVE_MAPS", context)
        return job

    def _area(
        self, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Facts:
        """The polygons of AOI as a file."""
        source = self.parameterAsSource(parameters, "AOI", context)
        if source is None:
            return {}
        path = vectors.written_area(source, folder, context)
        self.stand_ins.add(path, f"{source.sourceName() or 'area'}.gpkg")
        return {"aoi": path}

    def _written(
        self,
        export: handover.Export,
        job: Facts,
        box: QgsRectangle | None,
        folder: Path,
        feedback: QgsProcessingFeedback,
    ) -> Facts:
        """The picture as a file that QGIS writes."""
        gsd_m = handover.COMMON_GSD_M
        if export.native is None:
            with self.asked({"kind": "model", "model": job["model"]}, feedback) as model:
                gsd_m = float(model["gsd_m"])
        path, order = handover.written(export, box, gsd_m, folder, feedback)
        self.stand_ins.add(path, Path(path).name)
        return {"scene": path, "bands": job["bands"] or order}

    def _box(
        self, parameters: dict[str, Any], context: QgsProcessingContext, crs: Any
    ) -> QgsRectangle | None:
        """What EXTENT and AOI leave to be searched, in this CRS; None where neither is given."""
        boxes = []
        if parameters.get("EXTENT"):
            boxes.append(self.parameterAsExtent(parameters, "EXTENT", context, crs))
        source = self.parameterAsSource(parameters, "AOI", context)
        if source is not None:
            boxes.append(vectors.extent_in(source, crs, context))
        if len(boxes) == 2:
            return boxes[0].intersect(boxes[1])
        return boxes[0] if boxes else None

    def _hear(self, event: Facts, feedback: QgsProcessingFeedback) -> None:
        """The engine's events; its plan is said in the user's words before the work begins."""
        if event["event"] != "plan":
            tell(event, feedback)
            return
        self._plan = event
        for line in plan_lines(event, self._kind):
            feedback.pushInfo(line)
        feedback.pushInfo("")
        feedback.pushInfo(tr("The same on the command line:"))
        feedback.pushCommandInfo(event["command"])

    def _made(self, job: Facts, result: Facts) -> Made:
        """The run in the words of its layer."""
        command = "" if self._plan is None else str(self._plan["command"])
        versions = tr("snet4 {engine}, plugin {plugin}").format(
            engine=result.get("snet4", version()), plugin=version()
        )
        return Made(
            Path(job["scene"]).stem,
            result.get("off_nadir_deg"),
            command,
            versions,
            maps_file=str(Path(result["maps"]).absolute()) if result.get("maps") else "",
            settings={} if self._plan is None else self._plan["shapes"],
        )

    def _remember(self, seconds: float, work_s: float) -> None:
        """What the run cost, for the estimate of the next."""
        if self._plan is not None:
            run = speed.Run(float(self._plan["mpix"]), seconds - work_s, work_s)
            runs = speed.remembered(_runs(self._kind), run)
            QgsSettings().setValue(_RUNS.format(self._kind), speed.to_text(runs))

    def _picture_problem(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> str | None:
        """Why the engine could not read what was chosen."""
        given = parameters.get("INPUT")
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None:
            if isinstance(given, str) and Path(given).exists():
                return tr(
                    "{file} is no picture that can be opened; choose a GeoTIFF, or take a fresh "
                    "copy of it."
                ).format(file=given)
            return None  # Processing says that it is missing
        if handover.engine_file(layer) is not None:
            return None
        return handover.problem(
            handover.export_of(layer), self._box(parameters, context, layer.crs())
        )

    def _read(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> list[QgsMapLayer | None]:
        """The layers that a result must not replace."""
        return [
            self.parameterAsRasterLayer(parameters, "INPUT", context),
            self.parameterAsVectorLayer(parameters, "AOI", context),
        ]

    def before_the_run(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """What is to be said of a picture that the engine cannot read as it is; else nothing."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None or handover.engine_file(layer) is not None:
            return ""
        return self._picture_problem(parameters, context) or tr(
            "QGIS writes this layer to a temporary GeoTIFF before the run."
        )


def kind_of_run(job: Facts) -> str:
    """What a run's speed depends on here: the device, and the sizes in which it looks."""
    return "-".join([job["device"], *(f"{scale:g}" for scale in job.get("scales", ()))])


def _runs(kind: str) -> list[speed.Run]:
    """The runs before of this kind."""
    return speed.from_text(str(QgsSettings().value(_RUNS.format(kind), "")))


def plan_lines(plan: Facts, kind: str) -> list[str]:
    """What is known before the run: look, pixels, settings, time."""
    shape, model = plan["shapes"], plan["model"]
    small_m, large_m = model["gsd_range_m"]
    pixels = tr("Pixels: {own:.2f} m; the model was trained on {low:g} to {high:g} m").format(
        own=plan["gsd_m"], low=small_m, high=large_m
    )
    if abs(plan["seen_gsd_m"] / plan["gsd_m"] - 1) > 0.01:
        pixels += tr(", so it sees the picture at {:.2f} m").format(plan["seen_gsd_m"])
    regular = tr("right angles") if shape["regularize"] else tr("outlines as they are")
    runs, common_s = _runs(kind), float(plan["estimate_s"])
    common_rate_s = max(0.0, common_s - speed.START_S - speed.FIXED_S) / plan["mpix"]
    about = duration(speed.estimate_s(plan["mpix"], runs, common_rate_s) if runs else common_s)
    return [
        look_line(plan["look"]),
        pixels + ".",
        *([told(plan, "bands_says")] if plan.get("bands_says") else []),
        tr(
            "Settings: threshold {threshold:g}, at least {area:g} m², confidence {sure:g} or more, "
            "simplified within {metres:g} m, {regular}."
        ).format(
            threshold=shape["threshold"],
            area=shape["min_area_m2"],
            sure=shape["min_confidence"],
            metres=shape["simplify_m"],
            regular=regular,
        ),
        tr("Time: about {time}, as measured here ({size:.1f} megapixels).").format(
            time=about, size=plan["mpix"]
        )
        if runs
        else tr(
            "Time: perhaps {time} ({size:.1f} megapixels); better known after the first run."
        ).format(time=about, size=plan["mpix"]),
    ]


def look_line(look: Facts | None) -> str:
    """The look angle and where it stood."""
    if look is None:
        return tr("Look: unknown.")
    sources = {
        "option": tr("your parameters"),
        "table": tr("the table of looks"),
        "stac": tr("the STAC item beside the picture"),
        "metadata": tr("the picture's metadata"),
        "name": tr("the file name"),
        "estimated": tr("an estimate of the network"),
    }
    azimuth = look["azimuth_deg"]
    return tr("Look: {angle:g}° off nadir, azimuth {azimuth}, read from {source}.").format(
        angle=look["off_nadir_deg"],
        azimuth=tr("unknown") if azimuth is None else f"{azimuth:g}°",
        source=sources.get(look["source"], look["source"]),
    )


def warnings_of(plan: Facts) -> list[str]:
    """The plan's warnings, with the parameters of the dialog where they name options."""
    parts = plan.get("warnings_parts")
    return list(plan["warnings"]) if parts is None else [in_words_of_qgis(each) for each in parts]


def _package() -> str:
    """The plugin's package, under whatever name QGIS loaded it."""
    return __name__.rsplit(".", 2)[0]
