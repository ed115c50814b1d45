"""The plugin's tests on the QGIS of other Debian releases, each in a root of its own.

    python tools/qgis_matrix.py                              # trixie and forky: QGIS 3.40 and 3.44
    python tools/qgis_matrix.py trixie -- -k install         # one of them, words for pytest
    python tools/qgis_matrix.py --mirror URL --cache FOLDER
    python tools/qgis_matrix.py --pictures FOLDER            # the guide's pictures, to look at

The roots are made by debootstrap and kept, 4 GB each, in --cache, else in the folder that
SNET4_QGIS_ROOTS names, else below the user's cache. Needs root and Debian's package debootstrap.
Packages come from --mirror, else from where debootstrap itself gets them; the engine's libraries
from pip's index. The checkout is copied in, so what it contains stays as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

SUITES = ("trixie", "forky")
PACKAGES = (
    "qgis", "python3-qgis", "python3-pytest", "python3-venv", "xvfb", "xauth", "ca-certificates",
    "procps", "git",
)  # fmt: skip
SCRIPTS = Path("/usr/share/debootstrap")
AUTHORITIES = Path("/usr/local/share/ca-certificates")
LIMIT_S = 90 * 60
"""Tests that take longer hang."""

_INSIDE = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}
_HANDED_ON = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "OMP_NUM_THREADS",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
"""Variables of this machine that count in a root too."""


class Failed(Exception):
    """A root could not be made, or tests could not be run."""


@dataclass(frozen=True)
class Outcome:
    """What the tests gave on one QGIS."""

    suite: str
    """Debian's name of the release."""
    versions: str
    """Of QGIS and Python."""
    passed: int
    failed: int
    """Errors too."""
    skipped: int
    minutes: float
    end: str
    """Empty, or how pytest ended, if not as it does when it has run its tests."""

    @property
    def line(self) -> str:
        """A row of the table."""
        return (
            f"{self.suite:8} {self.versions:32} {self.passed:5} passed {self.failed:3} failed "
            f"{self.skipped:3} skipped {self.minutes:5.1f} min{self.end}"
        )

    @property
    def fine(self) -> bool:
        """Whether tests ran, none failed, and the process came to its own end."""
        return bool(self.passed) and not self.failed and not self.end


class Root:
    """A root of one release."""

    def __init__(self, suite: str, cache: Path) -> None:
        self.suite = suite
        self.folder = cache / suite
        self.log = cache / f"{suite}.log"

    def command(self, folder: Path, words: Sequence[str]) -> list[str]:
        """`words` as a command inside of `folder`, with processes and mounts that end with it."""
        # Inside, "/" has to be a mount of its own, or nothing can be mounted alone there.
        script = (
            'root=$1; shift; mount --bind "$root" "$root" && mount --rbind /dev "$root/dev" && '
            'mount -t proc proc "$root/proc" && exec chroot "$root" "$@"'
        )
        handed = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        environment = [f"{name}={value}" for name, value in (_INSIDE | handed).items()]
        alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL")
        inside = ("/usr/bin/env", "-i", *environment, *words)
        return [*alone, "sh", "-c", script, "sh", str(folder), *inside]

    def must(self, words: Sequence[str], folder: Path | None = None) -> str:
        """stdout of a command inside that has to succeed."""
        return self._logged(self.command(folder or self.folder, words))

    def make(self, mirror: str | None) -> None:
        """Make it if it is not there; half of one is never taken for a whole."""
        if self.folder.exists():
            return
        began = time.monotonic()
        half = self.folder.with_suffix(".part")
        shutil.rmtree(half, ignore_errors=True)
        print(f"{self.suite}: making {self.folder} (minutes; {self.log})", flush=True)
        with tempfile.TemporaryDirectory() as scripts:
            shutil.copytree(SCRIPTS, scripts, dirs_exist_ok=True, symlinks=True)
            script = Path(scripts) / "scripts" / self.suite
            if not script.exists():  # an older debootstrap does not know a newer release
                script.symlink_to("sid")
            words = ["debootstrap", "--variant=minbase", self.suite, str(half)]
            self._logged([*words, *([mirror] if mirror else [])], DEBOOTSTRAP_DIR=scripts)
        # Where this machine trusts an authority of its own, pip inside needs it too.
        inside = half / AUTHORITIES.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        for certificate in AUTHORITIES.glob("*.crt"):
            shutil.copy(certificate, inside)
        # A root that a power cut damages is made anew; most of the time goes to waiting for disks.
        (half / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")
        # Libraries of Python that no test imports need not be compiled, which takes minutes.
        compiler = "/usr/bin/py3compile"
        self.must(
            ["dpkg-divert", "--local", "--divert", f"{compiler}.real", "--add", compiler], half
        )
        (half / compiler[1:]).symlink_to("true")
        # A mirror may be kept as it was on a day; then its lists are out of date, and right.
        apt = ["apt-get", "-o", "Acquire::Check-Valid-Until=false", "-y"]
        self.must([*apt, "update"], half)
        self.must([*apt, "install", "--no-install-recommends", *PACKAGES], half)
        self.must([*apt, "clean"], half)
        half.rename(self.folder)
        print(f"{self.suite}: made in {time.monotonic() - began:.0f} s", flush=True)

    def bring(self) -> None:
        """Copy the checkout in, without what git ignores, and make or mend the engine."""
        there = self.folder / "snet4"
        shutil.rmtree(there, ignore_errors=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(listed, cwd=CHECKOUT, check=True, capture_output=True, text=True)
        for name in filter(None, done.stdout.split("\0")):
            if (CHECKOUT / name).is_file():
                (there / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, there / name)
        wanted = _needs()
        stamp = self.folder / "engine" / "made-from"
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"{self.suite}: making the engine", flush=True)
            shutil.rmtree(self.folder / "engine", ignore_errors=True)
            self.must(["python3", "-m", "venv", "/engine"])
            pip = ["/engine/bin/python", "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
            self.must([*pip, "--editable", "/snet4[openvino]"])
            stamp.write_text(wanted)

    def test(self, more: Sequence[str]) -> Outcome:
        """Run tests/qgis; raises Failed where no test ran."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        ask = (
            "import sys; from qgis.core import Qgis; "
            "print('QGIS', Qgis.version().split('-')[0], 'Python', sys.version.split()[0])"
        )
        versions = self.must(["/usr/bin/python3", "-c", ask]).strip()
        words = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider"]
        words += ["--junit-xml=/report.xml", "-o", "junit_family=xunit1", *more]
        if not any(word.startswith("tests/") for word in more):
            words.append("tests/qgis")
        words = ["sh", "-c", 'cd /snet4 && SNET4_PYTHON=/engine/bin/python exec "$@"', "sh", *words]
        began = time.monotonic()
        try:
            done = subprocess.run(self.command(self.folder, words), timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done in {LIMIT_S // 60} minutes") from None
        minutes = (time.monotonic() - began) / 60
        if not report.exists():
            raise Failed("pytest ended without a report")
        [found] = ET.parse(report).getroot().iter("testsuite")
        total, skipped = int(found.get("tests", 0)), int(found.get("skipped", 0))
        failed = int(found.get("failures", 0)) + int(found.get("errors", 0))
        passed = total - skipped - failed
        # 0: all passed, 1: some failed; whatever else befell the process after its report.
        end = "" if done.returncode in (0, 1) else f", then ended with {done.returncode}"
        return Outcome(self.suite, versions, passed, failed, skipped, minutes, end)

    def pictures(self, folder: Path) -> Path:
        """Take the guide's pictures with this QGIS; returns the folder below `folder`."""
        script = "cd /snet4 && SNET4_PYTHON=/engine/bin/python python3 tools/make_qgis_pictures.py"
        self.must(["sh", "-c", script])
        made = self.folder / "snet4" / "docs" / "pictures" / "qgis"
        return Path(shutil.copytree(made, folder / self.suite, dirs_exist_ok=True))

    def _logged(self, command: Sequence[str], **environment: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise Failed(f"{' '.join(command)}\n{(done.stderr or done.stdout)[-2000:]}")
        return done.stdout


def _needs() -> str:
    """Digest of what pip installs the engine from; the code itself is read where it lies."""
    told = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    of_project = told["project"]
    extra = of_project["optional-dependencies"]["openvino"]
    parts = [told["build-system"], of_project["dependencies"], extra, told["tool"]["setuptools"]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def kept_in() -> Path:
    """Where roots are kept if nothing else is said."""
    named = os.environ.get("SNET4_QGIS_ROOTS")
    if named:
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "snet4" / "qgis-roots"


def main() -> int:
    """Make what is missing, run the tests, print a table; 1 unless all passed everywhere."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="*", default=SUITES, help="Debian's releases")
    parser.add_argument("--cache", type=Path, default=kept_in(), help="folder of the roots")
    parser.add_argument("--mirror", help="where Debian's packages come from")
    parser.add_argument("--pictures", type=Path, help="instead of tests: the guide's pictures")
    parser.add_argument("--make-only", action="store_true", help="make the roots and the engines")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    chosen = parser.parse_args(words[:cut])
    if os.geteuid() or shutil.which("debootstrap") is None:
        print("Run this as root, with Debian's package debootstrap.", file=sys.stderr)
        return 2
    chosen.cache.mkdir(parents=True, exist_ok=True)
    outcomes, faults = [], []
    for suite in chosen.suites:
        root = Root(suite, chosen.cache)
        try:
            root.make(chosen.mirror)
            root.bring()
            if chosen.pictures:
                print(root.pictures(chosen.pictures))
            elif not chosen.make_only:
                outcomes.append(root.test(words[cut + 1 :]))
        except Failed as problem:
            faults.append(f"{suite}: {problem}")
    for line in (*(each.line for each in outcomes), *faults):
        print(line)
    return int(bool(faults) or not all(each.fine for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
