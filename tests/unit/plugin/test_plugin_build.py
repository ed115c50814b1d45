"""The plugin's zip: what the site refuses is refused, the same files give the same bytes."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_plugin, check_plugin = tool("make_plugin"), tool("check_plugin")
translations = tool("translations")

VERSION = make_plugin.project.following(ROOT)
"""Of a tree without tags, as `checkout` is."""
WHEEL = f"wheels/snet4-{VERSION}-py3-none-any.whl"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the plugin is made of, in a place where it may be broken."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "qgis_plugin", root / "qgis_plugin", ignore=ignored)
    shutil.copytree(ROOT / "snet4core/layers/styles", root / "snet4core/layers/styles")
    shutil.copytree(ROOT / "cli/snet4_cli", root / "cli/snet4_cli", ignore=ignored)
    model = root / "snet4core/model/shipped"
    model.mkdir(parents=True)
    (model / "default.safetensors").write_bytes(b"stands for a model")
    for name in ("metadata.txt", "LICENSE", "LICENSES.md", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    monkeypatch.setattr(make_plugin, "ROOT", root)
    return root


def test_the_zip_holds_one_folder_with_what_qgis_needs(checkout: Path, tmp_path: Path) -> None:
    archive = make_plugin.build(tmp_path / "build")
    assert archive.name == f"snet4-{VERSION}.zip"
    assert archive.stat().st_size < 25_000_000
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.testzip() is None
        names = zipped.namelist()
    assert {name.split("/")[0] for name in names} == {"snet4"}
    for name in ("metadata.txt", "LICENSE", "__init__.py", "styles/footprints.qml", WHEEL):
        assert f"snet4/{name}" in names
    assert not [name for name in names if name.endswith((".pyc", ".so", ".dll", ".exe", ".ts"))]
    folder = tmp_path / "build" / "plugins" / "snet4"
    in_folder = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    assert {f"snet4/{name}" for name in in_folder} == set(names)


def test_the_same_files_give_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    first = make_plugin.build(tmp_path / "one").read_bytes()
    for path in (checkout / "qgis_plugin").rglob("*.py"):
        path.touch()
    (checkout / "qgis_plugin" / "__pycache__").mkdir()
    (checkout / "qgis_plugin" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    assert make_plugin.build(tmp_path / "two").read_bytes() == first


def test_what_was_taken_out_of_the_plugin_leaves_the_folder(checkout: Path, tmp_path: Path) -> None:
    extra = checkout / "qgis_plugin" / "extra.py"
    extra.write_text("", encoding="utf-8")
    make_plugin.build(tmp_path)
    assert (tmp_path / "plugins" / "snet4" / "extra.py").exists()
    extra.unlink()
    make_plugin.build(tmp_path)
    assert not (tmp_path / "plugins" / "snet4" / "extra.py").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("qgis_plugin/engine.so", "x", "no kind of file"),
        ("qgis_plugin/.secret", "x", "hidden"),
        ("qgis_plugin/grün.py", "x", "ASCII"),
        ("qgis_plugin/__init__.py", "x = 1", "classFactory"),
        ("metadata.txt", "[general]\nname=snet4\n", "lacks"),
    ],
)
def test_what_the_site_refuses_is_refused(
    name: str, content: str, says: str, checkout: Path, tmp_path: Path
) -> None:
    (checkout / name).write_text(content, encoding="utf-8")
    with pytest.raises(make_plugin.Refused, match=says):
        make_plugin.build(tmp_path / "build")
    assert not list(tmp_path.glob("build/*.zip"))


def test_metadata_promise_processing_qgis_3_22_and_4(checkout: Path) -> None:
    text = (checkout / "metadata.txt").read_text(encoding="utf-8")
    for line in ("hasProcessingProvider=yes", "qgisMinimumVersion=3.22", "qgisMaximumVersion=4.99"):
        assert line in text
    assert "supportsQt6" not in text


def needs_no_newer_python(*paths: Path) -> tuple[bool, str]:
    """Whether Python 3.9 runs these sources, and what is newer in them."""
    vermin = [sys.executable, "-c", "import vermin; vermin.main()"]
    asked = [*vermin, "--no-tips", "--violations", "-t=3.9-", *paths]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_runs_in_the_python_of_the_oldest_qgis(tmp_path: Path) -> None:
    """QGIS 3.22 brings Python 3.9 on Windows."""
    pytest.importorskip("vermin", reason="vermin is not installed: pip install vermin")
    well, said = needs_no_newer_python(ROOT / "qgis_plugin")
    assert well, said
    newer = tmp_path / "newer.py"
    newer.write_text("import tempfile\ntempfile.TemporaryDirectory(ignore_cleanup_errors=True)\n")
    well, said = needs_no_newer_python(newer)
    assert not well
    assert "ignore_cleanup_errors" in said


def test_the_plugin_imports_only_the_standard_library_and_qgis() -> None:
    # `processing` is the part of QGIS that keeps the provider's setting; `osgeo` is the GDAL that
    # QGIS is linked to, which `processing` loads itself.
    allowed = {*sys.stdlib_module_names, "qgis", "processing", "osgeo"}
    for path in (ROOT / "qgis_plugin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_every_text_is_translated_into_german() -> None:
    known = translations.known(ROOT / "qgis_plugin" / "i18n" / "snet4_de.ts")
    assert [text for text in translations.texts() if not known.get(text)] == []
    for text, german in known.items():
        # The same holes, or filling them would fail at the user's.
        assert sorted(_holes(german)) == sorted(_holes(text)), text


def _holes(text: str) -> list[str]:
    import string

    return [
        f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name is not None
    ]


def test_compiled_translations_are_those_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if translations.lrelease() is None:
        pytest.skip("lrelease is not installed here (qttools5-dev-tools)")
    plugin = tmp_path / "qgis_plugin"
    shutil.copytree(ROOT / "qgis_plugin", plugin)
    monkeypatch.setattr(translations, "PLUGIN", plugin)
    assert translations.main([]) == 0
    for compiled in plugin.glob("i18n/*.qm"):
        assert compiled.read_bytes() == (ROOT / "qgis_plugin" / "i18n" / compiled.name).read_bytes()


def test_a_name_that_qt_6_lacks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class QProcess:
        class ProcessState:
            NotRunning = 0

    fake = types.SimpleNamespace(QProcess=QProcess)
    monkeypatch.setattr(check_plugin.importlib, "import_module", lambda _: fake)
    (tmp_path / "fine.py").write_text(
        "from qgis.PyQt.QtCore import QProcess\nQProcess.ProcessState.NotRunning\n",
        encoding="utf-8",
    )
    assert list(check_plugin.qt_names(tmp_path)) == []
    (tmp_path / "old.py").write_text(
        "from qgis.PyQt.QtCore import QProcess, QRegExp\nQProcess.NotRunning\n", encoding="utf-8"
    )
    found = list(check_plugin.qt_names(tmp_path))
    assert len(found) == 2
    assert "QRegExp" in found[0]
    assert "QProcess.NotRunning" in found[1]


def test_the_wheel_is_whole(checkout: Path, tmp_path: Path) -> None:
    make_plugin.build(tmp_path)
    with zipfile.ZipFile(tmp_path / "plugins/snet4" / WHEEL) as wheel:
        names = wheel.namelist()
        record = wheel.read(f"snet4-{VERSION}.dist-info/RECORD").decode().splitlines()
        metadata = wheel.read(f"snet4-{VERSION}.dist-info/METADATA").decode()
    assert "snet4core/model/shipped/default.safetensors" in names
    assert "snet4core/layers/styles/footprints.qml" in names
    assert "snet4_cli/main.py" in names
    assert [line.split(",")[0] for line in record] == names
    assert "Requires-Dist: openvino>=2025.0 ; extra == 'openvino'" in metadata


def test_an_engine_of_another_version_is_not_carried(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "metadata.txt"
    path.write_text(
        path.read_text(encoding="utf-8").replace("@VERSION@", "0.1.0"), encoding="utf-8"
    )
    with pytest.raises(make_plugin.Refused, match="version"):
        make_plugin.build(tmp_path / "build")
