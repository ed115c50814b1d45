"""Assemble the QGIS plugin: a folder that QGIS loads, and the zip that it installs.

    python tools/make_plugin.py         # build/plugins/snet4/ and build/snet4-<version>.zip

Needs the standard library alone. Version and addresses come from `project.py`, and the zip carries
a wheel of the engine (`make_wheel.py`), so that the plugin can install it without any name on a
package index. The same files give the same bytes, and what the plugin site refuses is refused here:
a missing entry in metadata.txt, a binary, a hidden file, compiled Python, a zip that is too large.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_wheel
import project

ROOT = Path(__file__).resolve().parents[1]
NAME = "snet4"

REQUIRED = (
    "name", "qgisMinimumVersion", "description", "about", "version", "author", "email",
    "homepage", "tracker", "repository", "license", "tags", "icon", "hasProcessingProvider",
)  # fmt: skip
"""Entries of metadata.txt without which a plugin is refused or hard to find."""

ALLOWED = (".py", ".txt", ".md", ".qml", ".svg", ".qm")
"""Kinds of files that the plugin consists of; `.qm` holds compiled translations, no code."""

MOST_BYTES = 25_000_000
"""The plugin site takes no larger zip."""

_EPOCH = (2000, 1, 1, 0, 0, 0)


class Refused(Exception):
    """One sentence: what the plugin site would not take."""


def sources() -> dict[str, Path]:
    """Path inside the plugin -> file here."""
    found = {"metadata.txt": ROOT / "metadata.txt", "LICENSE": ROOT / "LICENSE"}
    for style in sorted((ROOT / "snet4core" / "layers" / "styles").glob("*.qml")):
        found[f"styles/{style.name}"] = style
    plugin = ROOT / "qgis_plugin"
    for path in sorted(plugin.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts or path.suffix == ".ts":
            continue
        found[path.relative_to(plugin).as_posix()] = path
    return dict(sorted(found.items()))


def content(name: str, path: Path) -> bytes:
    """A file as it goes into the plugin: metadata.txt with version and addresses."""
    if name != "metadata.txt":
        return path.read_bytes()
    return project.filled(path.read_text(encoding="utf-8"), ROOT).encode("utf-8")


def check(files: dict[str, Path]) -> str:
    """Raise `Refused` for what the site would refuse; returns the version."""
    metadata = ConfigParser(interpolation=None)
    metadata.read_string(content("metadata.txt", files["metadata.txt"]).decode("utf-8"))
    for entry in REQUIRED:
        if not metadata.get("general", entry, fallback="").strip():
            raise Refused(f"metadata.txt lacks '{entry}'.")
    if "supportsQt6" in metadata["general"]:
        raise Refused("metadata.txt names supportsQt6; qgisMaximumVersion says it already.")
    if metadata["general"]["icon"] not in files:
        raise Refused(f"The icon {metadata['general']['icon']} is not in the plugin.")
    if "__init__.py" not in files or b"def classFactory" not in files["__init__.py"].read_bytes():
        raise Refused("__init__.py has no classFactory.")
    for name, path in files.items():
        if any(part.startswith(".") for part in Path(name).parts):
            raise Refused(f"{name} is hidden.")
        if name != "LICENSE" and path.suffix not in ALLOWED:
            raise Refused(f"{name} is no kind of file that belongs into a plugin.")
        if not name.isascii():
            raise Refused(f"{name} is not plain ASCII.")
    return metadata["general"]["version"]


def build(target: Path) -> Path:
    """Write folder and zip under `target`; returns the zip."""
    files = sources()
    version = check(files)
    contents = {name: content(name, path) for name, path in files.items()}
    name, wheel = make_wheel.wheel(ROOT)
    if f"-{version}-" not in name:
        raise Refused(f"metadata.txt says version {version}, the engine's wheel is {name}.")
    contents[f"wheels/{name}"] = wheel
    folder = target / "plugins" / NAME
    shutil.rmtree(folder, ignore_errors=True)
    archive = target / f"{NAME}-{version}.zip"
    temporary = archive.with_suffix(".tmp")
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(temporary, "w") as zipped:
        for name, written in sorted(contents.items()):
            placed = folder / name
            placed.parent.mkdir(parents=True, exist_ok=True)
            placed.write_bytes(written)
            entry = zipfile.ZipInfo(f"{NAME}/{name}", _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            # Stored, not deflated: zlib's versions compress differently, and it is small.
            zipped.writestr(entry, written, zipfile.ZIP_STORED)
    if temporary.stat().st_size > MOST_BYTES:
        temporary.unlink()
        raise Refused(f"The zip is larger than {MOST_BYTES:,} bytes.")
    temporary.replace(archive)
    return archive


def main() -> int:
    """Build, or say in one sentence why not."""
    try:
        archive = build(ROOT / "build")
    except Refused as problem:
        print(f"The plugin cannot be built: {problem}", file=sys.stderr)
        return 1
    print(archive.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
