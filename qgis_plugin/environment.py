"""Finds the engine's interpreter and prepares the environment of its process.

The engine is a Python of its own with snet4 in it. QGIS's own variables would break it in
silence: an inherited PROJ_LIB drops the EPSG code, PYTHONPATH loads the wrong NumPy and
PYTHONHOME stops the interpreter.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QProcessEnvironment

from . import engine_place
from .about import version
from .texts import tr

SETTING = "SNET4_PYTHON"
"""Name of the Processing setting."""

SETTING_KEY = f"Processing/Configuration/{SETTING}"
"""Where Processing keeps it."""

VARIABLE = "SNET4_PYTHON"
"""Environment variable that names the interpreter."""

SCHEME = "snet4"
"""Links that begin so are followed by the plugin: snet4:install."""

_WINDOWS = os.name == "nt"
HOME_ENVIRONMENT = Path.home() / ".snet4"
"""The environment that the documentation tells people to make."""

_HARMFUL = (
    "PYTHON", "__PYVENV", "VIRTUAL_ENV", "CONDA_", "GDAL_", "OGR_", "CPL_", "PROJ_", "GEOTIFF_",
    "LD_", "DYLD_", "QT", "QGIS", "GI_", "GRASS", "GISBASE", "O4W_QT", "OSGEO4W_",
)  # fmt: skip
"""Variables that begin so are meant for QGIS, not for the engine."""

_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Paths of certificates; one that leads nowhere is worse than none."""


@dataclass(frozen=True)
class Engine:
    """An interpreter, and who named it."""

    python: str
    """Its file."""
    origin: str
    """The setting, the variable or the folder, in the user's words."""


@dataclass(frozen=True)
class NoEngine:
    """Why there is none."""

    sentence: str
    """What is missing, and what cures it."""
    cured_by_installing: bool = True
    """Whether "Install the engine" would help; it does not where another one is named."""


def find_engine() -> Engine | NoEngine:
    """Look in the setting, the environment variable and the known places; files only."""
    named = (
        (
            str(QgsSettings().value(SETTING_KEY, "") or ""),
            tr("Processing setting"),
            tr("correct or empty it in Settings > Options > Processing > Providers > snet4."),
        ),
        (
            os.environ.get(VARIABLE, ""),
            tr("environment variable {}").format(VARIABLE),
            tr("correct or unset it where QGIS is started."),
        ),
    )
    for value, origin, cure in named:
        if not value.strip():
            continue
        python = interpreter_in(Path(value.strip()).expanduser())
        if python is None:
            return NoEngine(
                tr("{path}, named by the {origin}, is no Python interpreter; {cure}").format(
                    path=value.strip(), origin=origin, cure=cure
                ),
                cured_by_installing=False,
            )
        return Engine(python, origin)
    own = engine_place.installed(place())
    if own is not None and own.version != version():
        return NoEngine(
            tr(
                "The engine is snet4 {engine}, the plugin {plugin}; run 'Install the engine', "
                "which installs one of the same version."
            ).format(engine=own.version, plugin=version())
        )
    if own is not None and interpreter_in(own.folder) is not None:
        return Engine(engine_place.python_in(own.folder), tr("'Install the engine'"))
    for folder in known_environments():
        python = interpreter_in(folder)
        if python is not None:
            return Engine(python, str(folder))
    return NoEngine(
        tr(
            "The snet4 engine is not installed; run 'Install the engine' in the toolbox, or make "
            "it once with: {command} (or name its Python in Settings > "
            "Options > Processing > Providers > snet4)."
        ).format(command=install_command())
    )


def place() -> Path:
    """Where "Install the engine" puts it: in the folder of the user's profile."""
    return Path(QgsApplication.qgisSettingsDirPath()).absolute() / "snet4-engine"


def carried_wheel() -> Path | None:
    """The wheel of snet4 that the plugin's zip carries; None in a checkout."""
    folder = Path(__file__).resolve().parent / "wheels"
    return next(iter(sorted(folder.glob("snet4-*.whl"))), None)


def wheel_words() -> str:
    """What pip is told to install."""
    return str(carried_wheel() or "PATH_TO_SNET4")


def install_command() -> str:
    """The command that makes an engine by hand, in the place that is looked in."""
    if _WINDOWS:
        return (
            'py -m venv "%USERPROFILE%\\.snet4" && "%USERPROFILE%\\.snet4\\Scripts\\python" '
            f'-m pip install "{wheel_words()}[openvino]"'
        )
    return (
        "python3 -m venv ~/.snet4 && ~/.snet4/bin/python -m pip install "
        f"'{wheel_words()}[openvino]'"
    )


def known_environments() -> list[Path]:
    """Folders where an engine may be: the documented one, then that of a source checkout."""
    here = Path(__file__).resolve().parent
    checkouts = [parent for parent in here.parents if (parent / "snet4core").is_dir()]
    return [HOME_ENVIRONMENT, *(parent / ".venv" for parent in checkouts)]


def interpreter_in(place: Path) -> str | None:
    """The interpreter itself, or that of an environment's folder; None if there is none."""
    inside = ("Scripts/python.exe", "python.exe") if _WINDOWS else ("bin/python", "bin/python3")
    for candidate in (place, *(place / name for name in inside)):
        # Links are kept: an environment is known by the place its interpreter is called from.
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate.absolute())
    return None


def is_harmful(name: str, value: str) -> bool:
    """Whether the engine must not inherit this variable."""
    if name in _BUNDLES:
        return not Path(value).exists()
    return name.upper().startswith(_HARMFUL)


def clean_environment() -> QProcessEnvironment:
    """QGIS's environment without the variables that would break the engine."""
    environment = QProcessEnvironment.systemEnvironment()
    for name in environment.keys():  # noqa: SIM118 (not a dict)
        if is_harmful(name, environment.value(name)):
            environment.remove(name)
    return environment


def removed_variables() -> list[str]:
    """Names of what `clean_environment` takes away here, for the report."""
    environment = QProcessEnvironment.systemEnvironment()
    names = environment.keys()
    return sorted(name for name in names if is_harmful(name, environment.value(name)))
