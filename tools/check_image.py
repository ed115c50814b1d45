"""Build the image with buildah, and use it as its users would.

    python tools/check_image.py [--suite trixie] [--training [--torch WHEEL]] [--keep]

The base is made by debootstrap and cut down as Debian's slim images are: neither a registry of
images nor a container daemon is needed, but root, and Debian's packages buildah, debootstrap and
iproute2. Everything runs as another user, with a root that cannot be written and without a
network; buildah's isolation is `chroot`, which works inside of virtual machines and containers.

Some 3 GB of disk and ten minutes; with --training, torch and CUDA, 35 GB: buildah keeps up to four
copies of what it commits. Everything is removed at the end, but with --keep the images stay, for
the next check.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "build" / "image"
SCRATCH = STORE / "tmp"
"""buildah's copies of what it commits: gone with the store, also when a build was killed."""
CPU, TRAINING, BASE = "localhost/snet4", "localhost/snet4:training", "localhost/snet4-base"
EXTRAS = "EXTRAS=openvino,cluster,train"
MOST_MB = 900
SOMEBODY = "4711:4712"
"""A user that the image does not know."""

FEW_STEPS = (
    "--set", "train.steps=10", "--set", "train.validate_steps=10", "--set", "train.batch=3",
    "--set", "data.picture_chips=48", "--set", "data.validation_chips=6",
    "--set", "data.chip_px=128", "--set", "train.loaders=0",
)  # fmt: skip


class Failed(Exception):
    """The image does not do what it promises."""


def buildah(*arguments: str | Path) -> str:
    """What a command of buildah, on a store of our own, prints on stdout."""
    places = ("--root", STORE / "store", "--runroot", STORE / "run")
    command = [str(each) for each in ("buildah", *places, *arguments)]
    SCRATCH.mkdir(parents=True, exist_ok=True)
    there = {**os.environ, "TMPDIR": str(SCRATCH)}
    done = subprocess.run(command, cwd=ROOT, env=there, text=True, capture_output=True)
    if done.returncode:
        raise Failed(f"{shlex.join(command)}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout.strip()


@dataclass
class Container:
    """A container of an image, whose root is read-only from its start."""

    image: str
    network: int
    """Process whose network it is in: nothing but a loopback device."""
    data: Path
    """Folder of pictures, which is /data inside."""
    work: Path
    """Folder that anybody may write in, /out inside."""
    name: str = ""
    entrypoint: list[str] = field(default_factory=list)

    def __enter__(self) -> Container:
        self.name = buildah("from", "--add-host", "scheduler:127.0.0.1", self.image)
        self.entrypoint = config(self.image)["Entrypoint"]
        root = Path(buildah("mount", self.name))
        # What buildah wants to mount things at; it would make them itself.
        (root / "data").mkdir()
        (root / "run" / ".containerenv").touch()
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        buildah("rm", self.name)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `arguments` inside."""
        places = ("--root", STORE / "store", "--runroot", STORE / "run")
        return [str(each) for each in (
            "nsenter", f"--net=/proc/{self.network}/ns/net", "buildah", *places, "run",
            "--isolation", "chroot", "--user", SOMEBODY,
            "--mount", "type=tmpfs,destination=/tmp", "--volume", f"{self.data}:/data:ro",
            "--volume", f"{self.work}:/out", self.name, "--", *arguments,
        )]  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        """(exit status, output) of a command inside."""
        # buildah 1.28 breaks down when a command fails, so the status goes through the output.
        wrapped = ["sh", "-c", '"$@" 2>&1; status=$?; echo; echo $status', "sh", *arguments]
        done = subprocess.run(self.command(wrapped), text=True, capture_output=True)
        said, _, status = done.stdout.strip().rpartition("\n")
        if not status.isdecimal():
            raise Failed(f"{arguments} did not run: {done.stdout} {done.stderr[-2000:]}")
        return int(status), said.strip()

    def must(self, *arguments: str) -> str:
        """The output of a command that has to succeed."""
        status, said = self.run(*arguments)
        if status:
            raise Failed(f"{shlex.join(arguments)} ended with {status}: {said}")
        return said


@contextmanager
def no_network() -> Iterator[int]:
    """The number of a process in a network of its own, which has a loopback device alone."""
    alone = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE,
    )
    try:
        if alone.stdout is None or alone.stdout.readline() != b"up\n":
            raise Failed("unshare makes no network of its own: run it as root, with iproute2")
        yield alone.pid
    finally:
        for each in living_in(alone.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        alone.wait()


def living_in(network: int) -> list[int]:
    """Every process in a network: also what outlived the buildah that started it."""
    found = []
    theirs = Path(f"/proc/{network}/ns/net").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (process / "ns" / "net").readlink() == theirs:
                found.append(int(process.name))
    return found


def make_base(suite: str) -> str:
    """The name of a base like debian:SUITE-slim, made once."""
    base = f"{BASE}:{suite}"
    if base in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        return base
    with tempfile.TemporaryDirectory(dir=STORE) as made:
        root = Path(made) / "root"
        subprocess.run(
            ["debootstrap", "--variant=minbase", suite, root], check=True, stdout=subprocess.DEVNULL
        )
        for path in (root / "usr/share/doc").rglob("*"):
            if path.is_file() and path.name != "copyright":
                path.unlink()
        for folder in ("usr/share/man", "usr/share/locale", "usr/share/info", "var/lib/apt/lists",
                       "var/cache/apt", "var/log/apt"):  # fmt: skip
            shutil.rmtree(root / folder, ignore_errors=True)
            (root / folder).mkdir()
        # Where this machine trusts an authority of its own, building needs it too.
        for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
            (root / "usr/local/share/ca-certificates").mkdir(parents=True, exist_ok=True)
            shutil.copy(certificate, root / "usr/local/share/ca-certificates")
        container = buildah("from", "scratch")
        buildah("add", container, root, "/")
        buildah("commit", "--rm", container, base)
    return base


def build(image: str, base: str, *options: str, layers: bool = True) -> None:
    """Build the image, and say how long that took and how large it is.

    With `layers` every step is kept, which makes the next build short; each is then copied three
    times before the following one begins.
    """
    began = time.monotonic()
    kept = f"--layers={str(layers).lower()}"
    chosen = ("--isolation", "chroot", kept, "--build-arg", f"BASE={base}", *options)
    buildah("bud", *chosen, "--tag", image, ".")
    print(f"{image}: {size_mb(image):.0f} MB, built in {time.monotonic() - began:.0f} s")


def with_torch(wheel: Path | None) -> list[str]:
    """Options of the build that install this wheel of torch, not the one with CUDA."""
    if wheel is None:
        return []
    wheel = wheel.resolve()
    return ["--volume", f"{wheel.parent}:{wheel.parent}:ro", "--build-arg", f"PIP_OPTIONS={wheel}"]


def config(image: str) -> dict[str, Any]:
    """What the image says of itself: Entrypoint, User, Labels and so on."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))
    return found["OCIv1"]["config"]


def size_mb(image: str) -> float:
    """What the image's files take on a disk, in MB (millions of bytes)."""
    container = buildah("from", image)
    try:
        root = buildah("mount", container)
        used = subprocess.run(["du", "-sx", "-B1", root], text=True, stdout=-1, check=True)
    finally:
        buildah("rm", container)
    return int(used.stdout.split()[0]) / 1e6


def check_cpu(network: int, data: Path, work: Path) -> None:
    """A scene in, a layer out; the challenge's scripts; a cluster as compose.yaml starts it."""
    if size_mb(CPU) > MOST_MB:
        raise Failed(f"{CPU} has more than {MOST_MB} MB")
    if config(CPU)["User"] in ("", "0", "root"):
        raise Failed(f"{CPU} runs as root")
    with Container(CPU, network, data, work) as image:
        # Compiled in the build's stage.
        image.must("python3", "-c", "from snet4core.kernels import compiled; assert compiled()")
        for forbidden in ("/opt/snet4/x", "/usr/local/bin/x", "/data/x"):
            if image.run("touch", forbidden)[0] == 0:
                raise Failed(f"{forbidden} could be written")
        if not json.loads(image.must("snet4", "doctor", "--json"))["compiled loops"]:
            raise Failed("the inner loops are not compiled in it")
        if image.run("gcc", "--version")[0] == 0:
            raise Failed("the compiler is in it")
        scene = min(data.rglob("*.tif")).relative_to(data)
        run = [*image.entrypoint, "run", f"/data/{scene}", "--progress", "none", "--output"]
        print("run:", image.must(*run, "/out/alone.gpkg"))
        owner = (work / "alone.gpkg").stat()
        if f"{owner.st_uid}:{owner.st_gid}" != SOMEBODY:
            raise Failed("the layer belongs to somebody else")
        check_scripts(image)
        with services(image):
            cluster = ("/out/cluster.gpkg", "--cluster", "tcp://scheduler:8786")
            image.must(*run, *cluster)
        same(work / "alone.gpkg", work / "cluster.gpkg")
        print("compose.yaml: the same layer from its scheduler and workers, to the byte")


def check_scripts(image: Container) -> None:
    """test.sh writes the table that it writes outside of the image; train.sh says where to go."""
    said = image.must("test.sh", "/data", "/out/inside.csv", "-q")
    paths = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    subprocess.run(
        [ROOT / "container" / "test.sh", image.data, image.work / "outside.csv", "-q"],
        env={**os.environ, "PATH": paths, "SNET4_OUT": "/nowhere"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    same(image.work / "inside.csv", image.work / "outside.csv")
    print(f"test.sh: {said}; the same table as outside, to the byte")
    status, said = image.run("train.sh", "/data")
    if (status, said.count("\n")) != (4, 0) or EXTRAS not in said:
        raise Failed(f"train.sh in the CPU image ended with {status}: {said}")
    print(said)


@contextmanager
def services(image: Container) -> Iterator[None]:
    """The scheduler and the workers, started by the commands in compose.yaml."""
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    workers = composed["worker"]["deploy"]["replicas"]
    commands = [composed["scheduler"]["entrypoint"]] + [composed["worker"]["entrypoint"]] * workers
    started = [
        subprocess.Popen(
            image.command(command),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield
    finally:
        # They outlive the buildah that runs them.
        for each in set(living_in(image.network)) - {image.network}:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        for started_one in started:
            started_one.wait()


def same(one: Path, other: Path) -> None:
    """Both files have the same bytes."""
    if one.read_bytes() != other.read_bytes():
        raise Failed(f"{one.name} and {other.name} differ")


def check_training(network: int, data: Path, work: Path) -> None:
    """Ten steps of train.sh on the processor; test.sh then computes by what they gave."""
    began = time.monotonic()
    with Container(TRAINING, network, data, work) as image:
        print(image.must("train.sh", "/data", "-q", *FEW_STEPS))
        trained = time.monotonic()
        image.must("test.sh", "/data", "/out/trained.csv", "-q")
    print(f"train.sh: {trained - began:.0f} s, test.sh: {time.monotonic() - trained:.0f} s")
    with Container(CPU, network, data, work) as image:
        said = image.must("test.sh", "/data", "/out/elsewhere.csv", "-q")
    if "spacenet4.safetensors computes" not in said:
        raise Failed(f"test.sh passes over the trained model: {said}")
    same(work / "trained.csv", work / "elsewhere.csv")


def main() -> None:
    """Build, check, and clear away."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--training", action="store_true", help="the variant with torch too")
    parser.add_argument("--suite", default="trixie", help="release of Debian for the base")
    parser.add_argument("--torch", type=Path, metavar="WHEEL", help="a smaller torch to train with")
    parser.add_argument("--keep", action="store_true", help="keep the images in build/image")
    asked = parser.parse_args()
    missing = [each for each in ("buildah", "debootstrap", "ip") if not shutil.which(each)]
    if missing or os.geteuid():
        sys.exit("image-test: run as root, after apt-get install buildah debootstrap iproute2")
    try:
        base = make_base(asked.suite)
        build(CPU, base)
        if asked.training:
            extras = ("--build-arg", EXTRAS, *with_torch(asked.torch))
            build(TRAINING, base, *extras, layers=False)
        with tempfile.TemporaryDirectory() as made, no_network() as network:
            data, work = Path(made) / "data", Path(made) / "work"
            work.mkdir()
            work.chmod(0o1777)
            snet4 = Path(sys.executable).parent / "snet4"
            scenes = ["scenes", data, "--tiles", "5", "--looks", "nadir8,nadir30,nadir50"]
            subprocess.run([snet4, *scenes, "--size", "300", "-q"], check=True)
            check_cpu(network, data, work)
            if asked.training:
                check_training(network, data, work)
    except Failed as problem:
        sys.exit(f"image-test: {problem}")
    finally:
        if not asked.keep:
            buildah("rm", "--all")
            shutil.rmtree(STORE)
    print("image-test: passed")


if __name__ == "__main__":
    main()
