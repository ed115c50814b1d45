"""Make a wheel of snet4 for the QGIS plugin, without a network and without a build tool.

    python tools/make_wheel.py FOLDER

The same files give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import project

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"snet4core": ".", "snet4_cli": "cli", "snet4_training": "training"}
_EPOCH = (2000, 1, 1, 0, 0, 0)


def contents(root: Path, told: dict[str, Any]) -> dict[str, bytes]:
    """Path in site-packages -> bytes: code, and the data that pyproject.toml names."""
    data = told["tool"]["setuptools"]["package-data"]
    found: dict[str, bytes] = {}
    for package, parent in PACKAGES.items():
        top = root / parent / package
        patterns = ["**/*.py", "**/*.pyi", *data.get(package, [])]
        for path in {path for pattern in patterns for path in top.glob(pattern)}:
            if path.is_file() and "__pycache__" not in path.parts:
                found[f"{package}/{path.relative_to(top).as_posix()}"] = path.read_bytes()
    return found


def metadata(about: dict[str, Any], version: str) -> str:
    """METADATA: name, version, and what it depends on, extras included."""
    lines = ["Metadata-Version: 2.1", f"Name: {about['name']}", f"Version: {version}"]
    lines += [f"Summary: {about['description']}", f"License: {about['license']}"]
    lines += [f"Requires-Python: {about['requires-python']}"]
    lines += [f"Requires-Dist: {each}" for each in about["dependencies"]]
    for extra, needed in about["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for each in needed:
            wanted, _, marker = (part.strip() for part in each.partition(";"))
            condition = f"({marker}) and " if marker else ""
            lines.append(f"Requires-Dist: {wanted} ; {condition}extra == '{extra}'")
    return "\n".join(lines) + "\n"


def wheel(root: Path) -> tuple[str, bytes]:
    """(file name, bytes) of the wheel."""
    told, version = project.pyproject(root), project.version(root)
    about = told["project"]
    files = contents(root, told)
    folder = f"{about['name']}-{version}.dist-info"
    scripts = "".join(f"{name} = {target}\n" for name, target in about["scripts"].items())
    files[f"{folder}/METADATA"] = metadata(about, version).encode()
    files[f"{folder}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: snet4\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{folder}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    for name in about["license-files"]:
        files[f"{folder}/licenses/{name}"] = (root / name).read_bytes()
    record = [
        f"{name},{_digest(content)},{len(content)}" for name, content in sorted(files.items())
    ]
    written = sorted(files.items())
    written.append((f"{folder}/RECORD", "\n".join([*record, f"{folder}/RECORD,,", ""]).encode()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, content in written:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            # Stored, not deflated: zlib's versions compress differently.
            zipped.writestr(entry, content, zipfile.ZIP_STORED)
    return f"{about['name']}-{version}-py3-none-any.whl", packed.getvalue()


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


if __name__ == "__main__":
    file_name, made = wheel(ROOT)
    (Path(sys.argv[1]) / file_name).write_bytes(made)
    print(file_name)
