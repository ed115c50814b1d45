"""Every remedy that a text names helps: commands run, options and extras exist where it is told."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import Field, fields
from functools import cache
from pathlib import Path

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from helpers.told import ROOT, Told, everything_told, texts_in
from snet4_cli.main import COMMANDS, INSTEAD, Commands, in_words_of, snet4
from snet4_training.recipe import RealSource, Recipe
from snet4core.errors import LookError
from snet4core.extras import how_to_install
from snet4core.sentence import AZIMUTH, NODATA, OFF_NADIR, Sentence

Picture = Callable[..., Path]
ONE_PIXEL = np.full((3, 4, 4), 9, dtype=np.uint8)

NOT_TEXTS = ("cli/snet4_cli/options.py", "cli/snet4_cli/main.py", "snet4core/sentence.py")
"""Here options are declared, or put in the place of others."""

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
GDAL = re.compile(r"'((?:gdal\w+|ogr2ogr)(?:\.py)? [^']*)'")
OWN = re.compile(rf"'?snet4 ({'|'.join(COMMANDS)})\b([^'\n;`)]*)")
PIP = re.compile(r"pip install ['\"]?([a-z][\w-]*)(?:\[([^\]]+)\])?")
PROGRAM = re.compile(r"'((?:git|unzip|gunzip|dask|torchrun|accelerate)\b[^']*)'")

ELSEWHERE = {
    "snet4core.files.outputs:_check_existing --overwrite": {
        "train": "goes on with what a folder holds, and replaces its own files",
        "info": "writes nothing",
    },
    "snet4core.layers.read:area_in --bounds": "only for --aoi",
    "snet4core.layers.write:check_layer --roofs": {"demo": "asks for none"},
    "snet4core.layers.write:check_layer --roofs-file": {"demo": "asks for none"},
    "snet4core.maps.openvino_network:_computed --precision": {
        "info": "puts --off-nadir in its place",
        "polygonize": "runs no network",
    },
    "snet4core.maps.openvino_network:_computed --runtime": {
        "info": "puts --off-nadir in its place",
        "polygonize": "runs no network",
    },
    "snet4core.maps.predictor:_quantised --device": {"polygonize": "runs no network"},
    "snet4core.maps.runtime:choose_runtime --runtime": "only for --device",
    "snet4core.maps.runtime:_device --device": "only for --device",
    "snet4core.model.ensemble:combined_header --model": "only of several models",
    "snet4core.parts.command:of_models --model": "the command that a layer's metadata repeat",
    "snet4core.parts.command:of_models --tta": "the command that a layer's metadata repeat",
    "snet4core.parts.plan:__post_init__ --height-min": "only for --height-min",
    "snet4core.parts.region:of --bounds": "only for --bounds with --aoi",
    "snet4core.parts.region:of --aoi": "only for --bounds with --aoi",
    "snet4core.parts.store: --resume": "a line in a folder that `run` keeps",
    "snet4core.parts.shaping_pool:shaped --memory": {
        "calibrate": "shapes in its own process",
        "demo": "has too few parts for another process",
        "polygonize": "shapes in its own process",
    },
}
"""Function and option -> why commands without the option never tell of it: all, or each one."""


def command(name: str) -> click.Command:
    found = Commands().get_command(click.Context(snet4), name)
    assert found is not None
    return found


@cache
def flags_of(name: str) -> frozenset[str]:
    outer = command(name)
    every = (outer, *getattr(outer, "commands", {}).values())
    own = {
        flag for each in every for par in each.params for flag in (*par.opts, *par.secondary_opts)
    }
    return frozenset(own | {"--help", "-h", "--version", "--verbose", "-v"})


@cache
def told() -> tuple[Told, ...]:
    every = everything_told(tuple(COMMANDS))
    return tuple(each for each in every if each.place.partition(":")[0] not in NOT_TEXTS)


def with_matches(pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    """(place, match) of every text, the plugin's too; equal ones once."""
    known = set()
    plugin = [(place, text) for place, text in texts_in(ROOT / "qgis_plugin")]
    main = [each for each in everything_told(tuple(COMMANDS)) if "main.py" in each.place]
    for place, text in [*((each.place, each.text) for each in (*told(), *main)), *plugin]:
        for match in pattern.finditer(text):
            if match.group() not in known:
                known.add(match.group())
                yield place, match


def lacking(each: Told) -> Iterator[str]:
    """What is wrong with the options that a text names, in one line each."""
    if " " not in each.text.strip():
        return
    plain = OWN.sub("", GDAL.sub("", each.text))
    for flag in dict.fromkeys((*FLAG.findall(plain), *each.options)):
        reasons = ELSEWHERE.get(f"{each.function} {flag}", {})
        for name in sorted(each.commands):
            known = isinstance(reasons, str) or name in reasons
            replaced = flag in each.options and flag in INSTEAD
            if not (flag in flags_of(name) or replaced or known):
                yield f"{each.place}: {name} has no {flag}: {each.text}"
        if not each.commands and not any(flag in flags_of(name) for name in COMMANDS):
            yield f"{each.place}: no command has {flag}: {each.text}"


def test_there_are_remedies_to_try() -> None:
    assert len(told()) > 500
    assert sum(bool(each.options) for each in told()) > 30
    assert sum(bool(FLAG.search(each.text)) for each in told()) > 60
    for pattern, count in ((GDAL, 15), (OWN, 7), (PIP, 1), (PROGRAM, 4)):
        assert len(list(with_matches(pattern))) >= count, pattern


def test_every_option_that_a_text_names_is_one_of_the_command_that_tells_it() -> None:
    assert [problem for each in told() for problem in lacking(each)] == []


def test_an_option_that_no_command_has_is_noticed() -> None:
    every = frozenset(COMMANDS)
    assert list(lacking(Told("a:1", "a:f", "Give --no-such-thing.", (), every)))
    assert list(lacking(Told("a:1", "a:f", "Give --no-such-thing.", (), frozenset())))
    assert list(lacking(Told("a:1", "a:f", "Give --bands.", (), frozenset({"train"}))))
    assert not list(lacking(Told("a:1", "a:f", "Give --bands.", ("--bands",), every)))


def test_reasons_are_given_for_what_is_there() -> None:
    """Whoever renames a function, or gives a command the option, removes the reason."""
    texts = {f"{each.function} {flag}": each for each in told()
             for flag in (*each.options, *FLAG.findall(each.text))}  # fmt: skip
    for key, reasons in ELSEWHERE.items():
        flag = key.rpartition(" ")[2]
        for name in () if isinstance(reasons, str) else reasons:
            assert name in texts[key].commands, key
            assert flag not in flags_of(name), key
        assert key in texts, key


@pytest.mark.parametrize("name", ["calibrate", "train"])
def test_a_command_without_an_option_names_what_it_takes_instead(name: str) -> None:
    error = LookError("Give ", OFF_NADIR, ", ", AZIMUTH, " or ", NODATA, ".")
    words = in_words_of(command(name), error.sentence)
    assert not set(FLAG.findall(words)) - flags_of(name)
    assert "looks.csv" in words
    assert in_words_of(command("run"), error.sentence) == str(error)
    assert in_words_of(None, Sentence("plain")) == "plain"
    assert set(INSTEAD) <= flags_of("run")


def filled(text: str, folder: Path) -> list[str]:
    """The words of a command of ours, with something in the place of what is put in."""
    for word, value in (
        (r"\{\}", "thing"), (r"\bOUT\b", "out.gpkg"), (r"\b[A-Z]{2,}(\.\w+)?\b", "thing"),
        (r"\.\.\.", ""),
    ):  # fmt: skip
        text = re.sub(word, value, text)
    return [each if each.startswith("-") else str(folder / each) if "." in each else each
            for each in shlex.split(text.strip(" ,."))]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "match"), list(with_matches(OWN)), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_command_of_ours_that_a_text_names_is_one(
    tmp_path: Path, place: str, match: re.Match[str]
) -> None:
    """It takes those options; and it says what is missing, and not that it knows no such thing."""
    name, rest = match.groups()
    assert set(FLAG.findall(rest)) <= flags_of(name), place
    if not rest.strip(" ,."):
        return
    done = CliRunner().invoke(snet4, [name, *filled(rest, tmp_path)], standalone_mode=False)
    problem = str(done.exception or "")
    assert "No such" not in problem, (place, problem)
    assert not isinstance(done.exception, click.NoSuchOption), place


@pytest.mark.parametrize(
    ("place", "match"), list(with_matches(PIP)), ids=lambda v: v if isinstance(v, str) else ""
)
def test_what_pip_shall_install_can_be_installed(place: str, match: re.Match[str]) -> None:
    package, named = match.groups()
    # `snet4[...]` only from a clone: no index has it where snet4 came from a file.
    assert package != "snet4", place
    assert named is None, place
    assert package.lower() in packages(), place


def packages() -> set[str]:
    """The names of all packages that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[^\w-]", each)[0].lower() for needs in asked for each in needs}


def named_libraries() -> set[str]:
    """The libraries whose installation the code tells of, or that it loads if they are there."""
    sources = (path for folder in ("snet4core", "cli", "training")
               for path in (ROOT / folder).rglob("*.py"))  # fmt: skip
    calls = re.compile(r"(?:how_to_install|loaded)\(['\"](\w+)['\"]")
    return {name for path in sources for name in calls.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("library", sorted(named_libraries() | {"PIL", "skimage", "jinja2"}))
def test_what_brings_a_library_is_a_package_that_the_project_asks_for(library: str) -> None:
    command = how_to_install(library)
    assert command.startswith(sys.executable)
    given = command.partition(" install ")[2].split()
    assert given
    assert set(given) <= packages()


def test_libraries_are_named_somewhere() -> None:
    assert {"torch", "openvino", "distributed", "pyarrow", "fsspec"} <= named_libraries()


@pytest.mark.parametrize(
    ("place", "match"), list(with_matches(PROGRAM)), ids=lambda v: v if isinstance(v, str) else ""
)
def test_another_program_that_a_text_names_knows_the_command(
    tmp_path: Path, place: str, match: re.Match[str]
) -> None:
    program, *rest = match[1].split()
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    asked = [program, *(each for each in rest if each.islower()), "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, check=False)
    if program == "git" and "not a git command" in done.stderr:
        pytest.skip("git has no LFS here")
    assert done.returncode == 0, (place, done.stderr)


def gdal_commands() -> list[str]:
    return sorted(match[1] for _, match in with_matches(GDAL))


@pytest.mark.parametrize("text", gdal_commands())
def test_a_command_of_gdals_that_an_error_names_runs(
    picture: Picture, tmp_path: Path, text: str
) -> None:
    program = text.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if program == "ogr2ogr":
        source = tmp_path / "in.geojson"
        source.write_text('{"type":"FeatureCollection","features":[]}')
    else:
        source = picture(ONE_PIXEL, "in.tif", photometric="RGB")
    full = text
    for word, value in (
        (r"\bIN\b", str(source)), (r"\bOUT(\.\w+)?\b", str(tmp_path / "out.tif")),
        (r"\bLAYER\b", "in"),
        (r"\bCRS\b", "EPSG:32616"), (r"\bNUMBER\b", "32616"), (r"\b-b N\b", "-b 1"),
        (r"\bULX ULY LRX LRY\b", "0 4 4 0"),
        (r"\bLOW HIGH\b", "0 1"), (r"\bX Y\b", "1 1"), (r"\bVALUE\b", "0"), (r"-b N", "-b 1"),
        (r"\{\}", "1"), (r" -rpc", ""),
    ):  # fmt: skip
        full = re.sub(word, value, full)
    if program == "ogr2ogr":
        full = full.replace("out.tif", "out.gpkg")
    if "-expand" in full:
        with rasterio.open(picture(ONE_PIXEL[:1], "in.tif"), "r+") as dataset:
            dataset.write_colormap(1, {9: (1, 2, 3, 255)})
    done = subprocess.run(full.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_plugin_names_no_option_of_the_command_line() -> None:
    """QGIS shows its own names of them."""
    named = [(place, text) for place, text in texts_in(ROOT / "qgis_plugin") if FLAG.search(text)]
    assert [place for place, text in named if " " in FLAG.sub("", text).strip()] == []


def test_every_key_of_a_recipe_that_a_text_names_exists() -> None:
    keys = {f"{part.name}.{each.name}" for part in fields(Recipe) for each in fields_of(part.name)}
    keys |= {f"data.real.{each.name}" for each in fields(RealSource)} | {"model.safetensors"}
    parts = "|".join(part.name for part in fields(Recipe))
    named = list(with_matches(re.compile(rf"\b(?:{parts})\.[a-z_]+(?:\.[a-z_]+)?\b")))
    assert len(named) > 15
    assert [(place, match[0]) for place, match in named if match[0] not in keys] == []


def fields_of(part: str) -> tuple[Field[object], ...]:
    return fields(getattr(Recipe(), part))


def test_calibrate_has_the_options_that_its_engine_names() -> None:
    assert {"--device", "--precision", "--runtime"} <= flags_of("calibrate")


def test_python_runs_the_module_that_a_text_names() -> None:
    for place, match in with_matches(re.compile(r"\bpython -m ([\w.]+)")):
        done = subprocess.run(
            [sys.executable, "-c", f"import importlib.util as u; assert u.find_spec({match[1]!r})"],
            cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, place
