"""The dialog: what it says before the run, cancelling, styles, help, languages."""

from __future__ import annotations

import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QTranslator
from qgis.PyQt.QtWidgets import QLabel, QMainWindow
from qgis_helpers import PLUGINS, engines, make_window, none_left_within_s, until

IDS = ("extractfootprints", "polygonizemaps", "scorefootprints", "checkengine", "installengine")


@pytest.fixture(autouse=True)
def known_answer(engine_is: Any, stub: Any) -> None:
    engine_is(stub("plain"))


@pytest.fixture
def dialog(qgis: Any, town: Path) -> Any:
    """The real dialog of the main algorithm, with a picture chosen."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    window = QMainWindow()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("snet4:extractfootprints")
    opened = AlgorithmDialog(algorithm, False, window)
    opened.setParameters({"INPUT": str(town), "OFF_NADIR": 30, "OUTPUT": "memory:"})
    opened.show()
    yield opened
    with suppress(RuntimeError):  # a test may have closed it for good
        opened.close()
    QgsProject.instance().clear()


def facts(dialog: Any) -> str:
    return dialog.findChild(QLabel, "snet4_scene_facts").text()


def test_the_dialog_says_look_pixels_and_time_before_the_run(dialog: Any) -> None:
    until(lambda: "Look: 30° off nadir" in facts(dialog))
    assert "read from your parameters" in facts(dialog)
    assert "Pixels: 0.50 m; the model was trained on 0.3 to 1 m" in facts(dialog)
    assert "threshold 0.5" in facts(dialog)
    assert "Time: " in facts(dialog)
    dialog.setParameters({"OFF_NADIR": 70})
    until(lambda: "outside the 0 to 55" in facts(dialog))


def test_the_dialog_knows_a_picture_of_the_project(dialog: Any, town: Path) -> None:
    layer = QgsRasterLayer(str(town), "town")
    QgsProject.instance().addMapLayer(layer)
    dialog.setParameters({"INPUT": layer, "OFF_NADIR": 31})
    until(lambda: "Look: 31° off nadir" in facts(dialog))


def test_the_dialog_asks_for_an_angle_that_nobody_knows(dialog: Any) -> None:
    dialog.setParameters({"OFF_NADIR": None})
    until(lambda: "does not tell how tilted it is" in facts(dialog))
    assert "OFF_NADIR" in facts(dialog)
    assert "--off-nadir" not in facts(dialog)


def test_the_dialog_says_which_bands_are_read_and_offers_other_orders(dialog: Any) -> None:
    until(lambda: "blue = band 1" in facts(dialog))
    assert "four untagged bands are taken in SpaceNet 4" in facts(dialog)
    assert '<a href="3,2,1,4">red, green, blue, infrared</a>' in facts(dialog)
    dialog.findChild(QLabel, "snet4_scene_facts").linkActivated.emit("3,2,1,4")
    until(lambda: "blue = band 3" in facts(dialog))
    assert "from BANDS 3,2,1,4" in facts(dialog)


def test_the_dialog_says_that_a_service_is_written_first(dialog: Any) -> None:
    tiles = QgsRasterLayer(
        "crs=EPSG:3857&type=xyz&url=file:///nowhere/{z}/{x}/{y}.png&zmax=18&zmin=0", "tiles", "wms"
    )
    QgsProject.instance().addMapLayer(tiles)
    dialog.setParameters({"INPUT": tiles})
    until(lambda: "comes from a service" in facts(dialog))
    dialog.setParameters({"EXTENT": "740000,740090,3719910,3720000 [EPSG:32616]"})
    until(lambda: "QGIS writes this layer to a temporary GeoTIFF" in facts(dialog))


@pytest.fixture
def archived(town: Path, tmp_path: Path) -> QgsRasterLayer:
    """A picture that QGIS has to write."""
    with zipfile.ZipFile(tmp_path / "town.zip", "w") as archive:
        archive.write(town, "town.tif")
    layer = QgsRasterLayer(f"/vsizip/{tmp_path / 'town.zip'}/town.tif", "archived")
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_the_dialog_comes_back_to_a_picture(
    dialog: Any, town: Path, archived: QgsRasterLayer
) -> None:
    until(lambda: "Look: 30°" in facts(dialog))
    dialog.setParameters({"INPUT": archived})
    until(lambda: "QGIS writes this layer" in facts(dialog))
    dialog.setParameters({"INPUT": str(town)})
    until(lambda: "Look: 30°" in facts(dialog))


def test_an_answer_about_one_picture_is_not_shown_for_another(
    dialog: Any, archived: QgsRasterLayer
) -> None:
    until(lambda: "Looking at the picture" in facts(dialog))
    before = engines()
    dialog.setParameters({"INPUT": archived})
    until(lambda: "QGIS writes this layer" in facts(dialog))
    assert none_left_within_s(30, [pid for pid in before if pid not in engines()])
    QCoreApplication.processEvents()
    assert "Look: " not in facts(dialog)


def test_a_closed_dialog_leaves_no_process(qgis: Any, town: Path, dialog: Any) -> None:
    before = engines()
    until(lambda: "Looking at the picture" in facts(dialog))
    dialog.close()
    dialog.deleteLater()
    QCoreApplication.processEvents()
    # A Python that is just starting hears of it when it has started.
    assert none_left_within_s(30, [pid for pid in before if pid not in engines()])


def test_a_run_from_the_dialog_gives_a_styled_layer(dialog: Any) -> None:
    dialog.runAlgorithm()
    until(dialog.wasExecuted)
    until(lambda: bool(QgsProject.instance().mapLayers()))
    [layer] = QgsProject.instance().mapLayers().values()
    assert layer.featureCount() == 3
    assert layer.renderer().symbol().symbolLayerCount() == 2


def test_try_here_runs_what_the_map_shows_and_changes_no_value(
    dialog: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import qgis.utils

    until(lambda: "Look: 30°" in facts(dialog))
    assert "Try here" not in facts(dialog)  # there is no map
    monkeypatch.setattr(qgis.utils, "iface", make_window())
    mine = tmp_path / "mine.gpkg"
    dialog.setParameters({"OFF_NADIR": 31, "OUTPUT": str(mine)})
    until(lambda: "Try here" in facts(dialog))
    before = dialog.createProcessingParameters()
    dialog.findChild(QLabel, "snet4_scene_facts").linkActivated.emit("try")
    until(dialog.wasExecuted)
    until(lambda: len(QgsProject.instance().mapLayers()) == 2)
    layers = QgsProject.instance().mapLayers().values()
    [found] = [each for each in layers if isinstance(each, QgsVectorLayer)]
    assert found.featureCount() == 1
    assert found.customProperty("snet4/maps").endswith("maps.tif")
    after = dialog.createProcessingParameters()
    assert after["EXTENT"] == before["EXTENT"]
    assert after.get("SAVE_MAPS") == before.get("SAVE_MAPS")
    assert (after.get("ROOFS") is None) is (before.get("ROOFS") is None)
    assert after["OUTPUT"].sink.staticValue() == str(mine)
    assert not mine.exists()


def test_an_offer_is_taken_by_its_link_alone(dialog: Any) -> None:
    from snet4 import offers

    try:
        offers.drawn(140.04, 32.0)
        dialog.setParameters({"OFF_NADIR": 31})
        until(lambda: "Drawn on the map: azimuth 140°" in facts(dialog))
        until(lambda: "Look: 31°" in facts(dialog))
        dialog.findChild(QLabel, "snet4_scene_facts").linkActivated.emit("0")
        until(lambda: "Look: 32° off nadir, azimuth 140°" in facts(dialog))
        assert dialog.createProcessingParameters()["AZIMUTH"] == 140.0
    finally:
        offers.forget()


def test_cancel_in_the_dialog_ends_the_engine(
    dialog: Any, engine_is: Any, stub: Any, tmp_path: Path
) -> None:
    until(lambda: "30°" in facts(dialog))  # the dialog's own question is answered
    before = engines()
    engine_is(stub("slow"))
    output = tmp_path / "never.gpkg"
    dialog.setParameters({"OUTPUT": str(output)})
    ended: list[bool] = []
    dialog.algorithmFinished.connect(lambda fine, _: ended.append(fine))
    dialog.runAlgorithm()
    until(lambda: bool(set(engines()) - set(before)))
    assert dialog.cancelButton().isEnabled()
    dialog.cancelButton().click()
    started_s = time.monotonic()
    until(lambda: bool(ended), 5)
    assert ended == [False]
    assert none_left_within_s(5 - (time.monotonic() - started_s), before)
    assert not output.exists()


@pytest.mark.parametrize("name", IDS)
def test_every_parameter_has_help_and_every_algorithm_an_icon(name: str, qgis: Any) -> None:
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"snet4:{name}")
    assert algorithm.shortHelpString()
    assert not algorithm.icon().isNull()
    for parameter in algorithm.parameterDefinitions():
        assert parameter.help(), parameter.name()


def test_the_names_that_scripts_depend_on(qgis: Any) -> None:
    registry = QgsApplication.processingRegistry()
    algorithms = {name: registry.createAlgorithmById(f"snet4:{name}") for name in IDS}
    names = {
        name: [parameter.name() for parameter in algorithm.parameterDefinitions()]
        for name, algorithm in algorithms.items()
    }
    assert set(names["extractfootprints"]) == {
        "INPUT", "EXTENT", "AOI", "OFF_NADIR", "AZIMUTH", "BANDS", "MODEL", "THRESHOLD", "MIN_AREA",
        "MIN_CONFIDENCE", "SIMPLIFY", "HEIGHT_MIN", "REGULARIZE", "DEVICE", "LOOKS", "OUTPUT",
        "ROOFS", "SAVE_MAPS",
    }  # fmt: skip
    assert set(names["polygonizemaps"]) >= {"INPUT", "THRESHOLD", "MIN_AREA", "OUTPUT"}
    assert names["scorefootprints"] == ["PROPOSALS", "TRUTH"]


def test_without_an_engine_the_algorithms_are_grey_and_say_one_sentence(
    qgis: Any, engine_is: Any
) -> None:
    engine_is("/nowhere/python")
    registry = QgsApplication.processingRegistry()
    provider = registry.providerById("snet4")
    # QGIS shows such a message in dialogs alone, and those of these two are what cures it.
    assert provider.warningMessage() == ""
    for name in IDS:
        possible, sentence = registry.createAlgorithmById(f"snet4:{name}").canExecute()
        assert possible is (name in ("checkengine", "installengine"))
        assert possible or sentence.count("correct or unset it") == 1
        algorithm = registry.createAlgorithmById(f"snet4:{name}")
        assert possible or algorithm.shortDescription() == sentence
        image = algorithm.icon().pixmap(32, 32).toImage()
        points = [image.pixelColor(x, y) for x in range(32) for y in range(32)]
        assert any(point.hsvSaturation() > 40 for point in points) is possible


def test_the_setting_comes_before_the_variable(qgis: Any, stub: Any, tmp_path: Path) -> None:
    from processing.core.ProcessingConfig import ProcessingConfig
    from snet4.environment import find_engine

    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    Path(stub("plain")).rename(folder / "bin" / "python")
    assert "SNET4_PYTHON" in ProcessingConfig.settings
    ProcessingConfig.setSettingValue("SNET4_PYTHON", str(folder))
    try:
        assert find_engine().python == str(folder / "bin" / "python")
        assert "setting" in find_engine().origin
    finally:
        ProcessingConfig.setSettingValue("SNET4_PYTHON", "")
        QgsSettings().remove("Processing/Configuration/SNET4_PYTHON")


def test_german_users_read_german(qgis: Any) -> None:
    from snet4.texts import tr

    translator = QTranslator()
    assert translator.load(str(PLUGINS / "snet4" / "i18n" / "snet4_de.qm"))
    assert tr("Extract building footprints") == "Extract building footprints"
    QCoreApplication.installTranslator(translator)
    try:
        assert tr("Extract building footprints") == "Gebäudegrundrisse finden"
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(
            "snet4:extractfootprints"
        )
        assert algorithm.displayName() == "Gebäudegrundrisse finden"
        assert "Blickwinkel" in algorithm.shortHelpString()
    finally:
        QCoreApplication.removeTranslator(translator)


def test_the_model_designer_can_edit_a_step(qgis: Any) -> None:
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog
    from qgis.core import QgsProcessingModelAlgorithm

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("snet4:extractfootprints")
    model = QgsProcessingModelAlgorithm("houses", "test")
    designer = ModelerParametersDialog(algorithm, model)
    step = designer.createAlgorithm()
    assert step is not None
    assert step.algorithmId() == "snet4:extractfootprints"
    assert "AZIMUTH" in step.parameterSources()
    designer.close()


def test_a_service_without_an_area_is_refused_in_words(qgis: Any) -> None:
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("snet4:extractfootprints")
    from qgis.core import QgsProcessingContext

    layer = QgsRasterLayer(
        "crs=EPSG:3857&type=xyz&url=file:///nowhere/{z}/{x}/{y}.png&zmax=1&zmin=0", "tiles", "wms"
    )
    assert layer.isValid()
    context = QgsProcessingContext()
    fine, sentence = algorithm.checkParameterValues({"INPUT": layer, "OUTPUT": "memory:"}, context)
    assert not fine
    assert (
        sentence
        == "The layer tiles comes from a service, which has no end; choose where to search."
    )
