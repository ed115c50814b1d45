"""Do two installations of snet4 write the same files?

    python -m benchmarks.faults.same_bytes BEFORE AFTER [--folder FOLDER] [--only STEP,STEP]

BEFORE and AFTER are the Python interpreters of two environments, such as that of the last
release and that of this checkout. Both run the same steps (same_bytes_steps.py) on the same
inputs, one after the other in the same folder, so that no path differs. Files are compared by
their sha256, FlatGeobuf by what is read from it: features in their order, schema, CRS. Texts
that commands print are not compared. Exit code 1 if a file differs or a step fails.

Part stores record the form of the results, so they are compared between equal forms only.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyogrio
import pyogrio.raw

from benchmarks.faults.same_bytes_steps import (
    STEPS,
    STORE,
    Broken,
    Inputs,
    Installation,
    Step,
    make_inputs,
    with_needed,
)

LAYERS = (".gpkg", ".fgb", ".geojson")


@dataclass(frozen=True, slots=True)
class Written:
    """What one installation made of all steps."""

    folder: Path
    """With a folder for each step."""
    sums: dict[str, str]
    """Path below `folder` -> sha256, hexadecimal."""
    failed: dict[str, str]
    """Name of a step -> why it did not end."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step of the table."""

    step: str
    files: int
    equal: int
    notes: list[str]
    """What differs or failed; empty if all is equal."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", metavar="BEFORE", help="a Python interpreter with snet4")
    parser.add_argument("after", metavar="AFTER", help="another one")
    parser.add_argument("--folder", type=Path, help="empty or new; all files stay there")
    parser.add_argument("--only", default="", help=f"of {', '.join(each.name for each in STEPS)}")
    options = parser.parse_args()
    chosen = {name for name in options.only.split(",") if name}
    if unknown := chosen - {each.name for each in STEPS}:
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    if options.folder and options.folder.exists() and any(options.folder.iterdir()):
        parser.error(f"{options.folder} is not empty")
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="snet4-same-bytes-"))).absolute()
    # Not resolved: an environment's interpreter is a link to another one.
    pythons = [str(Path(each).absolute()) for each in (options.before, options.after)]
    rows = compared(pythons, folder, with_needed(chosen))
    print(table(rows))
    differ = any(row.notes for row in rows)
    if differ or options.folder:
        print(f"The files are in {folder / 'before'} and {folder / 'after'}.")
    else:
        shutil.rmtree(folder)
    return int(differ)


FORM_OF_RESULTS = """
from snet4core.parts import part
print(getattr(part, "FORMAT", 1))  # 0.1.0 gave the first form, and had no name for it
"""


def compared(pythons: Sequence[str], folder: Path, steps: Sequence[Step]) -> list[Row]:
    """Run `steps` with both interpreters, below `folder`, and compare what they wrote."""
    forms = [said(each, FORM_OF_RESULTS) for each in pythons]
    able = [each for each in steps if all(has(python, each.module) for python in pythons)]
    for step in steps:
        if step not in able:
            print(f"{step.name}: left out, {step.module} is not installed in both")
    (folder / "tmp").mkdir(parents=True)
    inputs = make_inputs(pythons[0], folder / "inputs")
    before, after = (
        written(python, inputs, folder, name, able)
        for python, name in zip(pythons, ("before", "after"), strict=True)
    )
    if forms[0] != forms[1]:
        print(f"results of forms {forms[0]} and {forms[1]}: part stores are not compared")
        for sums in (before.sums, after.sums):
            for path in [path for path in sums if path.startswith(STORE)]:
                del sums[path]
    return [row(step.name, before, after) for step in able]


def said(python: str, code: str) -> str:
    """What `code` prints. Raises when it fails, such as where snet4 is not installed."""
    done = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def has(python: str, module: str) -> bool:
    code = f"from importlib.util import find_spec; print(find_spec({module!r}) is not None)"
    return said(python, code) == "True"


def written(python: str, inputs: Inputs, folder: Path, name: str, steps: Sequence[Step]) -> Written:
    """Run the steps in FOLDER/work, which is then renamed to FOLDER/NAME."""
    side = Installation(python, inputs, folder / "work", folder / "tmp")
    failed: dict[str, str] = {}
    for step in steps:
        (side.work / step.name).mkdir(parents=True)
        started = time.monotonic()
        try:
            step.do(side, side.work / step.name)
        except (Broken, OSError, subprocess.SubprocessError) as problem:  # the others go on
            failed[step.name] = str(problem)
        print(f"{name}: {step.name}: {time.monotonic() - started:.0f} s", flush=True)
    kept = side.work.rename(folder / name)
    paths = sorted(path for path in kept.rglob("*") if path.is_file())
    return Written(kept, {str(path.relative_to(kept)): sha256(path) for path in paths}, failed)


def sha256(path: Path) -> str:
    """Of the file's bytes; for FlatGeobuf, of what is read from it."""
    # GDAL leaves bytes between its records as they come.
    content = repr(layer(path)).encode() if path.suffix == ".fgb" else path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def layer(path: Path) -> dict[str, Any]:
    """The first layer of a file: CRS, schema, metadata, and its features in their order."""
    name = pyogrio.list_layers(path)[0][0]  # a GeoPackage has another one for its style
    info = pyogrio.read_info(path, layer=name)
    meta, _, geometries, columns = pyogrio.raw.read(path, layer=name)
    values = zip(geometries, *(column.tolist() for column in columns), strict=True)
    return {
        "CRS": meta["crs"],
        "geometry type": meta["geometry_type"],
        "fields": list(map(str, meta["fields"])),
        "types": list(map(str, info["dtypes"])),
        "metadata": [info.get("dataset_metadata"), info.get("layer_metadata")],
        "features": list(values),
    }


def row(step: str, before: Written, after: Written) -> Row:
    """The comparison of one step."""
    paths = sorted(
        path for path in before.sums.keys() | after.sums.keys() if path.startswith(f"{step}/")
    )
    equal = [path for path in paths if before.sums.get(path) == after.sums.get(path)]
    notes = [
        f"{step}: failed {name}: {each.failed[step]}"
        for name, each in (("before", before), ("after", after))
        if step in each.failed
    ]
    for path in (path for path in paths if path not in equal):
        notes += difference(path, before, after)
    return Row(step, len(paths), len(equal), notes)


def difference(path: str, before: Written, after: Written) -> list[str]:
    """What differs between the two files at `path`, in a few lines."""
    for name, sums in (("before", before.sums), ("after", after.sums)):
        if path not in sums:
            return [f"{path}: not written {name}"]
    first, second = before.folder / path, after.folder / path
    sizes = f"{path}: {first.stat().st_size} and {second.stat().st_size} bytes"
    if first.suffix not in LAYERS:
        return [sizes]
    one, two = layer(first), layer(second)
    ours, theirs = one.pop("features"), two.pop("features")
    lines = [f"  {key}: {one[key]} and {two[key]}" for key in one if one[key] != two[key]]
    if len(ours) != len(theirs):
        lines.append(f"  {len(ours)} and {len(theirs)} features")
    pairs = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
    if pairs:
        lines.append(f"  {len(pairs)} of {len(ours)} features differ; the first, but its shape:")
        lines += [f"    {list(feature[1:])}" for feature in pairs[0]]
    return [sizes, *(lines or ["  equal when read"])]


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'step':<12}{'files':>7}{'equal':>7}{'different':>11}"]
    lines += [
        f"{each.step:<12}{each.files:>7}{each.equal:>7}{each.files - each.equal:>11}"
        for each in rows
    ]
    files, equal = sum(each.files for each in rows), sum(each.equal for each in rows)
    lines.append(f"{'all':<12}{files:>7}{equal:>7}{files - equal:>11}")
    return "\n".join([*lines, *(note for each in rows for note in each.notes)])


if __name__ == "__main__":
    sys.exit(main())
