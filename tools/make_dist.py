"""Make a release here: dist/ with wheel, sdist, plugin, bill of materials and checksums.

    python tools/make_dist.py            # what `make dist` runs, in the development environment
    python tools/make_dist.py --release  # refuses without a tag, and with placeholders

Builds the wheel from the sdist, so that whoever builds from the sdist gets the same; asks
twine about both; runs the wheel in an environment of its own, which borrows the libraries
of this one (six gigabytes with torch) and nothing of this checkout; and writes the bill of
materials by cyclonedx-bom, which reads an environment (spdx-tools only writes what one lists).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import make_plugin
import project

ROOT = project.ROOT
DIST = ROOT / "dist"

MOST_WHEEL_BYTES = 24_000_000
"""What a wheel may weigh: one copy of the weights, and a quarter to spare."""

SMOKE = """
import json, pathlib, sys, snet4core
from importlib import metadata
place = pathlib.Path(snet4core.__file__).resolve()
assert place.is_relative_to(pathlib.Path(sys.prefix).resolve()), place
assert snet4core.__version__ == metadata.version("snet4") == sys.argv[1], snet4core.__version__
"""


class Refused(Exception):
    """One sentence: why there is nothing to release."""


def run(*words: object, cwd: Path = ROOT) -> str:
    """A command's output. Refused, with what it said, if it fails."""
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Refused(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def built() -> tuple[Path, Path]:
    """Wheel and sdist, anew, as twine wants them."""
    shutil.rmtree(DIST, ignore_errors=True)
    os.environ["SNET4_PURE"] = "1"  # one wheel for all; who builds from the sdist gets the kernels
    run(sys.executable, "-m", "build", "--outdir", DIST)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    if wheel.stat().st_size > MOST_WHEEL_BYTES:
        raise Refused(
            f"The wheel has {wheel.stat().st_size:,} bytes, more than {MOST_WHEEL_BYTES:,}; is a "
            "graph for OpenVINO beside a model that gives it? 'snet4 models export default' says."
        )
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    return wheel, sdist


def tried(wheel: Path) -> None:
    """Install the wheel into a fresh environment and run it, on borrowed libraries."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "fresh"
        venv.create(place, with_pip=False, symlinks=sys.platform != "win32")
        scheme = {"base": str(place), "platbase": str(place)}
        scripts = Path(sysconfig.get_path("scripts", "venv", vars=scheme))
        packages = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
        python = scripts / "python"
        run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel)
        # After its own folder, and as plain entries: the .pth files over there, with which
        # this checkout may be installed, are not read.
        borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
        (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
        run(python, "-c", SMOKE, wheel.name.split("-")[1], cwd=place)
        run(scripts / "snet4", "doctor", cwd=place)
        run(scripts / "snet4", "demo", "--output", "demo", cwd=place)


def billed(wheel: Path) -> Path:
    """CycloneDX: snet4 and what its environment holds, with licences.

    Not validated: the validator can search for many minutes in its patterns, at full load.
    """
    target = DIST / "snet4.cdx.json"
    run(
        sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", "pyproject.toml",
        "--output-reproducible", "--no-validate", "--of", "JSON", "-o", target, sys.executable,
    )  # fmt: skip
    bill = json.loads(target.read_text(encoding="utf-8"))
    root = bill["metadata"]["component"]
    root["version"] = wheel.name.split("-")[1]
    root["hashes"] = [{"alg": "SHA-256", "content": digest(wheel)}]
    target.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    return target


def recipe(sdist: Path) -> Path:
    """The recipe for conda-forge, with the sdist's version and hash and our dependencies.

    Markers are left out, which conda does not know: it has each of them for every Python.
    """
    asked: list[str] = project.pyproject()["project"]["dependencies"]
    wanted = [each.partition(";")[0].strip() for each in asked]
    text = (ROOT / "tools" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    filled = project.filled(
        text,
        VERSION=sdist.name.removeprefix("snet4-").removesuffix(".tar.gz"),
        SHA=digest(sdist),
        RUN="\n".join(f"    - {each.replace('>=', ' >=')}" for each in wanted),
    )
    target = DIST / "recipe.yaml"
    target.write_text(filled, encoding="utf-8")
    return target


def digest(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def made() -> None:
    """All of dist/."""
    wheel, sdist = built()
    tried(wheel)
    files = [wheel, sdist, billed(wheel), recipe(sdist)]
    files.append(Path(shutil.copy(make_plugin.build(ROOT / "build"), DIST / "snet4-qgis.zip")))
    sums = "".join(f"{digest(path)}  {path.name}\n" for path in files)
    (DIST / "SHA256SUMS").write_text(sums, encoding="utf-8")
    for path in files:
        print(f"{path.stat().st_size / 1e6:7.2f} MB  {path.relative_to(ROOT)}")


def unready(root: Path = ROOT) -> list[str]:
    """Sentences: what stands against releasing this tree; nothing against trying it out."""
    found = []
    missing = project.placeholders(root)
    if missing:
        found.append(f"placeholders in [project.urls] of pyproject.toml: {', '.join(missing)}.")
    version = project.version(root)
    if ".dev" in version:
        found.append(f"no tag names this state, or files were changed; it is {version}.")
    return found


def main() -> int:
    """Make it, or say why not."""
    found = unready()
    for each in found:
        print(f"WARNING: {each}", file=sys.stderr)
    if found and "--release" in sys.argv[1:]:
        print("Nothing is released like this.", file=sys.stderr)
        return 1
    try:
        made()
    except (Refused, make_plugin.Refused) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
