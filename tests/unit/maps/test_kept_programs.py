"""Compiled programs are kept for the next start, and nothing about that can fail a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snet4core.maps import kept_programs

KEY, FACTS = "0123456789abcdef" * 4, {"version": 1}


class Compiler:
    """Counts what it is asked for; a program is its text."""

    def __init__(self, text: bytes = b"program") -> None:
        self.text, self.compiled, self.loaded = text, 0, 0

    def compile(self) -> bytes:
        self.compiled += 1
        return self.text

    def load(self, content: bytes) -> bytes:
        if content != self.text:
            raise RuntimeError("made by another version")
        self.loaded += 1
        return content

    def program(self, **others: object) -> bytes:
        made = kept_programs.program(KEY, {**FACTS, **others}, self.compile, self.load, bytes)
        assert made == self.text
        return self.text


class Trusting(Compiler):
    """Takes whatever it is given, as OpenVINO might take one wrong byte."""

    def load(self, content: bytes) -> bytes:
        self.loaded += 1
        return content


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(kept_programs.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_second_start_loads_what_the_first_compiled(folder: Path) -> None:
    Compiler().program()
    second = Compiler()
    second.program()
    assert (second.compiled, second.loaded) == (0, 1)
    if os.name == "posix":
        assert folder.stat().st_mode & 0o077 == 0


def test_a_graph_is_known_by_its_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not kept_programs.knows(KEY)
    Compiler().program()
    assert kept_programs.knows(KEY)
    assert not kept_programs.knows(KEY[::-1])
    monkeypatch.setenv(kept_programs.VARIABLE, "off")
    assert not kept_programs.knows(KEY)


def test_another_graph_is_another_program(folder: Path) -> None:
    Compiler().program()
    other = Compiler()
    kept_programs.program(KEY[:-1] + "0", FACTS, other.compile, other.load, bytes)
    assert other.compiled == 1


def test_another_fact_is_another_program(folder: Path) -> None:
    Compiler().program()
    other = Compiler(b"other")
    other.program(version=2)
    assert other.compiled == 1
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-3],
        lambda whole: whole[:20],
        lambda whole: b"",
        lambda whole: whole[:-1] + b"?",
    ],
    ids=["cut off", "cut off in the sum", "empty", "one byte"],
)
def test_a_damaged_file_is_compiled_again_and_mended(
    folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    Compiler().program()
    path = only_file(folder)
    path.write_bytes(damage(path.read_bytes()))
    second, third = Trusting(), Trusting()
    second.program()
    third.program()
    assert (second.compiled, second.loaded, third.compiled, third.loaded) == (1, 0, 0, 1)


def test_what_this_version_cannot_load_is_compiled_again(folder: Path) -> None:
    Compiler(b"of another version").program()
    second = Compiler()
    second.program()
    assert (second.compiled, second.loaded) == (1, 0)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o500)
    yield
    folder.chmod(0o700)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_changes_nothing(folder: Path) -> None:
    with unwritable(folder):
        Compiler().program()
    assert not list(folder.iterdir())


def test_a_file_in_the_place_of_the_folder_changes_nothing(folder: Path) -> None:
    folder.write_text("not a folder")
    again = Compiler()
    again.program()
    again.program()
    assert (again.compiled, again.loaded) == (2, 0)


def test_a_program_that_cannot_be_exported_is_used_all_the_same(folder: Path) -> None:
    def refuse(_: bytes) -> bytes:
        raise RuntimeError("this program cannot be exported")

    compiler = Compiler()
    made = kept_programs.program(KEY, FACTS, compiler.compile, compiler.load, refuse)
    assert made == compiler.text
    assert not folder.exists()


def test_off_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kept_programs.VARIABLE, "off")
    monkeypatch.chdir(folder.parent)
    Compiler().program()
    assert not list(folder.parent.iterdir())
    assert kept_programs.cache_folder() is None


def test_the_longest_unused_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 32 + len(Compiler().text)
    monkeypatch.setattr(kept_programs, "MOST_BYTES", 2 * size)
    for number in range(2):
        Compiler().program(number=number)
    for age, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (1000 + age, 1000 + age))
    left, now = (folder / f"snet4-{name}.program.part" for name in ("left", "now"))
    left.write_bytes(b"half")
    os.utime(left, (1000, 1000))
    now.write_bytes(b"half")
    oldest = sorted(folder.glob("*.program"))[0]
    Compiler().program(number=2)
    assert not oldest.exists()
    assert len(list(folder.glob("*.program"))) == 2
    assert list(folder.glob("*.part")) == [now]


def test_files_of_others_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder may be one of downloads, or the temporary one."""
    monkeypatch.setattr(kept_programs, "MOST_BYTES", 1)
    folder.mkdir(parents=True)
    others = {folder / name for name in ("film.mkv.part", "000007-aaaa.part", "big.program")}
    for path in others:
        path.write_bytes(b"another's")
        os.utime(path, (1000, 1000))
    Compiler().program()
    assert set(folder.iterdir()) == others


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_a_file_of_another_user_is_not_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Compiler().program()
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    second = Compiler()
    second.program()
    assert (second.compiled, second.loaded) == (1, 0)


AT_ONCE = """
from snet4core.maps import kept_programs

def check(content):
    assert content == b"x" * 10**7
    return content

for _ in range(20):
    made = kept_programs.program("", {}, lambda: b"x" * 10**7, check, bytes)
    for path in kept_programs.cache_folder().glob("*.program"):
        try:
            path.unlink()
        except OSError:
            pass
"""


def test_two_processes_at_once_never_see_half_a_file(folder: Path) -> None:
    command = [sys.executable, "-c", AT_ONCE]
    several = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in several:
        said = process.communicate()[1]
        assert process.returncode == 0, said.decode()


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv(kept_programs.VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert kept_programs.cache_folder() is None


def test_a_loaded_program_gives_the_maps_of_a_compiled_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np, _ = pytest.importorskip("numpy"), pytest.importorskip("openvino")
    from snet4core.look.look import Look
    from snet4core.maps import openvino_network
    from snet4core.maps.openvino_network import OpenVinoNetwork
    from snet4core.maps.runtime import choose_runtime, resolved_runtime
    from snet4core.model.header import find_model, read_header

    header = read_header(find_model("default"))
    runtime = resolved_runtime(choose_runtime("cpu", engine="openvino", threads=1), header)
    look = Look(30.0, 20.0, "option")
    head = header.card.architecture.head_for(look)
    picture = np.random.default_rng(0).standard_normal((1, 4, 96, 96), dtype=np.float32)
    compiled = OpenVinoNetwork(runtime).forward(picture, look, head)
    path = only_file(folder)
    os.utime(path, (1000, 1000))
    monkeypatch.setattr(openvino_network, "read_graph", not_called)
    loaded = OpenVinoNetwork(runtime).forward(picture, look, head)
    assert path.stat().st_mtime > 1000  # it was used, and not written again
    assert (loaded == compiled).all()


def not_called(header: object) -> None:
    raise AssertionError("The graph is not made where its programs are kept.")
