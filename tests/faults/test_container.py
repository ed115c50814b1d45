"""The container's files: the challenge's scripts, run without a container, and what goes into it.

`make image-test` builds the image itself, which takes minutes and root.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "container"
HEADER = "ImageId,BuildingId,PolygonWKT_Pix,Confidence"

WITHOUT_TORCH = """
from importlib import metadata
known = metadata.version
metadata.version = lambda name: known("no " * (name == "torch") + name)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts for a container of Linux")


class Shell:
    """Runs the scripts with this interpreter's `snet4`, and a folder of its own for models."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.path = folder / "bin"
        self.work.mkdir()
        self.path.mkdir()
        self.install("")

    def install(self, before: str) -> None:
        """Make `snet4` a program that runs `before` first."""
        code = f"{before}\nfrom snet4_cli.main import main\nmain()\n"
        (self.path / "snet4.py").write_text(code, encoding="utf-8")
        program = self.path / "snet4"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$0.py" "$@"\n', encoding="utf-8")
        program.chmod(0o755)

    def __call__(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join((str(self.path), os.environ["PATH"]))
        recipe = ROOT / "training" / "recipes" / "spacenet4.toml"
        variables = {"PATH": paths, "SNET4_OUT": str(self.work), "SNET4_RECIPE": str(recipe)}
        return subprocess.run(
            [SCRIPTS / script, *map(str, arguments)], env={**os.environ, **variables},
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five tiles at three looks, in a folder whose name a shell would take apart."""
    from snet4_training.scenes.dataset import parse_looks, write_scenes

    folder = tmp_path_factory.mktemp("challenge") / "test *[data] $HOME"
    write_scenes(folder, 5, parse_looks("nadir8,nadir30,nadir50"), 9_000_031, size_px=200)
    # The other products of the same pictures, which are not to be read.
    for product in ("MS", "PAN"):
        for picture in sorted(folder.rglob("Pan-Sharpen_*.tif")):
            beside = picture.parents[1] / product
            beside.mkdir(exist_ok=True)
            shutil.copy(picture, beside / picture.name.replace("Pan-Sharpen", product))
    return folder


def test_the_challenge_gets_a_line_for_each_pan_sharpened_picture(
    shell: Shell, challenge: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    table = tmp_path / "my submission.csv"
    table.write_text("an earlier one")
    done = shell("test.sh", challenge, table, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    assert header == HEADER
    searched = {line.partition(",")[0] for line in lines}
    pictures = {path.stem for path in challenge.rglob("Pan-Sharpen_*.tif")}
    assert searched == {name.removeprefix("Pan-Sharpen_") for name in pictures}
    # The list of pictures is not needed where the folder holds one product alone.
    plain = tmp_path / "plain"
    for picture in challenge.rglob("Pan-Sharpen_*.tif"):
        (plain / "deep").mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, plain / "deep")
    again = shell("test.sh", plain, tmp_path / "plain.csv", "--device", "cpu")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "plain.csv").read_bytes() == table.read_bytes()


@pytest.mark.parametrize(
    ("script", "arguments", "status", "said"),
    [
        ("test.sh", (), 2, "test.sh DATA OUT.csv"),
        ("test.sh", ("/nowhere",), 2, "test.sh DATA OUT.csv"),
        ("test.sh", ("/nowhere", "out.csv"), 5, "/nowhere is no folder"),
        ("train.sh", (), 2, "train.sh DATA"),
        ("train.sh", ("/nowhere",), 5, "/nowhere is no folder"),
    ],
)
def test_a_wrong_call_gets_one_sentence(
    shell: Shell, script: str, arguments: tuple[str, ...], status: int, said: str
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    done = shell(script, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_where_torch_is_missing_train_sh_says_which_image_has_it(
    shell: Shell, challenge: Path
) -> None:
    shell.install(WITHOUT_TORCH)
    done = shell("train.sh", challenge)
    assert done.returncode == 4
    assert "docker build -t snet4:training --build-arg EXTRAS=" in done.stderr
    assert done.stderr.count("\n") == 1
    extras = re.search(r"EXTRAS=([a-z,-]+)", done.stderr)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


@pytest.mark.long
def test_what_train_sh_leaves_is_what_test_sh_computes_by(
    shell: Shell, challenge: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    few = [
        "train.steps=3", "train.validate_steps=3", "train.batch=3", "train.loaders=0",
        "data.picture_chips=12", "data.validation_chips=3", "data.chip_px=96",
        "data.spare_px=32",
    ]  # fmt: skip
    done = shell("train.sh", challenge, *(word for key in few for word in ("--set", key)))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in shell.work.iterdir()} == {
        "spacenet4.openvino.safetensors",
        "spacenet4.safetensors",
        "training",
    }
    table = tmp_path / "out.csv"
    done = shell("test.sh", challenge, table, "--device", "cpu", "--runtime", "openvino")
    assert done.returncode == 0, done.stderr
    assert "spacenet4.safetensors computes" in done.stderr
    assert table.read_text(encoding="utf-8").startswith(HEADER)


def test_shellcheck_finds_nothing() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed: apt-get install shellcheck")
    found = subprocess.run(
        ["shellcheck", *sorted(SCRIPTS.glob("*.sh"))], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


def test_all_that_the_dockerfile_copies_is_let_through() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, flags=re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert "snet4core" in copied
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = [line[1:] for line in lines if line.startswith("!")]
    for name in copied:
        assert list(ROOT.glob(name)), name
        within = (name, name.split("/")[0])
        assert any(fnmatch.fnmatch(part, one) for part in within for one in let_through), name
    tops = {name.split("/")[0] for name in copied} - {"tools"}
    # Of the tools one alone, which says what version this is.
    assert set(let_through) == {*tops, "tools/project.py"}


def test_the_image_is_compiled_and_has_no_compiler() -> None:
    building, final = re.split(r"^FROM .*$", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.M)[
        1:
    ]
    for name in ("gcc", "libc6-dev", "python3-dev"):
        assert re.search(rf"\b{name}\b", building), name
        assert not re.search(rf"\b{name}\b", final), name
    # Or a build without its compiler would go through.
    assert "SNET4_COMPILED=1 /opt/snet4/bin/pip install" in building
    assert re.search(r"^COPY .*\bsetup\.py\b", building, flags=re.M)


def test_the_image_keeps_the_readers_that_snet4_asks_openvino_for() -> None:
    """A graph is loaded by one; train.sh ends with an export, which needs the other."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (removed,) = re.findall(
        r"find \. -name 'libopenvino_\*_frontend\.so\*'(.+?)-delete", dockerfile, re.S
    )
    assert set(re.findall(r"! -name '\*_(\w+)_\*'", removed)) == {"ir", "pytorch"}


def test_compose_starts_what_the_image_has() -> None:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = composed["services"]
    assert services["worker"]["deploy"]["replicas"] == 2
    assert (
        f"tcp://scheduler:{services['scheduler']['entrypoint'][3]}"
        in (services["worker"]["entrypoint"])
    )
    for service in services.values():
        assert service["read_only"]
        assert "work:/out" in service["volumes"]
    for part in ("scheduler", "worker"):
        command = services[part]["entrypoint"]
        helped = subprocess.run(
            [sys.executable, "-m", "dask", *command[1:2], "--help"], capture_output=True, text=True
        )
        for option in (word for word in command if word.startswith("--")):
            assert re.search(rf"{option}\b", helped.stdout), (part, option)
