"""Where results go: said before the work, replaced in one step, nothing left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snet4core.errors import OutputError
from snet4core.files import outputs, workfolder
from snet4core.files.names import cell, cell_text, printable, storable
from snet4core.files.workfolder import work_folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """All names below a folder, with the bytes of the files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


class TestReplacing:
    def test_the_target_appears_when_the_block_ends(self, tmp_path: Path) -> None:
        target = tmp_path / "result.txt"
        with outputs.replacing(target) as (temporary,):
            temporary.write_text("complete")
            assert not target.exists()
        assert tree(tmp_path) == {"result.txt": b"complete"}

    def test_the_old_file_stays_until_then(self, tmp_path: Path) -> None:
        target = tmp_path / "result.txt"
        target.write_text("old")
        with outputs.replacing(target) as (temporary,):
            temporary.write_text("new")
            assert target.read_text() == "old"
        assert target.read_text() == "new"

    @pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
    def test_any_exception_leaves_everything_as_it_was(
        self, tmp_path: Path, kind: type[BaseException]
    ) -> None:
        target = tmp_path / "result.gpkg"
        target.write_text("old")

        def driver(temporary: Path) -> None:
            temporary.write_text("half of it")
            temporary.with_name("result.gpkg-journal").write_text("what a driver keeps")
            raise kind

        with pytest.raises(kind), outputs.replacing(target) as (temporary,):
            driver(temporary)
        assert tree(tmp_path) == {"result.gpkg": b"old"}

    def test_what_a_driver_leaves_beside_its_file_goes_too(self, tmp_path: Path) -> None:
        with outputs.replacing(tmp_path / "result.gpkg") as (temporary,):
            temporary.write_text("new")
            temporary.with_name("result.gpkg-wal").write_text("left over")
        assert tree(tmp_path) == {"result.gpkg": b"new"}

    def test_a_full_disk_is_an_output_error(self, tmp_path: Path) -> None:
        with (
            pytest.raises(OutputError, match=r"result\.txt could not be written \(no space"),
            outputs.replacing(tmp_path / "result.txt"),
        ):
            raise OSError(28, os.strerror(28))
        assert tree(tmp_path) == {}

    def test_two_targets_appear_together(self, tmp_path: Path) -> None:
        layer, table = tmp_path / "a.gpkg", tmp_path / "b.csv"

        def write(both: tuple[Path, ...]) -> None:
            for path in both:
                path.write_text("complete")
            raise ValueError("late")

        with pytest.raises(ValueError, match="late"), outputs.replacing(layer, table) as both:
            write(both)
        assert tree(tmp_path) == {}

    def test_the_first_target_is_moved_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved = []
        original = Path.replace

        def noting(self: Path, target: Path) -> Path:
            moved.append(target.name)
            return original(self, target)

        monkeypatch.setattr(Path, "replace", noting)
        with outputs.replacing(tmp_path / "a.gpkg", tmp_path / "b.csv") as both:
            for path in both:
                path.write_text("complete")
        assert moved == ["b.csv", "a.gpkg"]

    def test_a_file_that_came_meanwhile_is_not_replaced_unasked(self, tmp_path: Path) -> None:
        target = tmp_path / "result.txt"
        with ExitStack() as stack:
            stack.enter_context(pytest.raises(OutputError, match="exists already"))
            (temporary,) = stack.enter_context(outputs.replacing(target, overwrite=False))
            temporary.write_text("mine")
            target.write_text("of another run")
        assert tree(tmp_path) == {"result.txt": b"of another run"}

    def test_a_database_opened_meanwhile_is_not_pulled_away(self, tmp_path: Path) -> None:
        target = tmp_path / "result.gpkg"
        target.write_text("old")
        with ExitStack() as stack:
            stack.enter_context(pytest.raises(OutputError, match="open in another program"))
            (temporary,) = stack.enter_context(outputs.replacing(target))
            temporary.write_text("new")
            (tmp_path / "result.gpkg-wal").write_text("")
        assert target.read_text() == "old"

    def test_files_have_the_usual_permissions(self, tmp_path: Path) -> None:
        target, plain = tmp_path / "result.txt", tmp_path / "plain.txt"
        plain.touch()
        with outputs.replacing(target) as (temporary,):
            temporary.touch()
        assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)

    def test_the_longest_name_fits(self, tmp_path: Path) -> None:
        target = tmp_path / ("x" * 250 + ".gpkg")
        with outputs.replacing(target) as (temporary,):
            temporary.write_text("complete")
        assert target.read_text() == "complete"


class TestWorkFolder:
    def test_what_a_killed_process_left_is_swept_by_the_next(self, tmp_path: Path) -> None:
        code = textwrap.dedent(f"""
            import os, signal
            from pathlib import Path
            from snet4core.files.workfolder import work_folder
            with work_folder(Path({str(tmp_path)!r})) as folder:
                (folder / "result.gpkg").write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
        """)
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == -9
        assert len(tree(tmp_path)) == 2
        with work_folder(tmp_path) as folder:
            assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        assert tree(tmp_path) == {}

    def test_the_folder_of_a_living_process_is_left_alone(self, tmp_path: Path) -> None:
        with work_folder(tmp_path) as first:
            (first / "result.gpkg").write_text("still written")
            with work_folder(tmp_path) as second:
                assert first.is_dir()
                assert second != first
            assert (first / "result.gpkg").read_text() == "still written"

    def test_a_folder_with_foreign_files_is_never_swept(self, tmp_path: Path) -> None:
        foreign = tmp_path / ".snet4-notes"
        foreign.mkdir()
        (foreign / "diary.txt").write_text("mine")
        with work_folder(tmp_path):
            pass
        assert tree(tmp_path) == {".snet4-notes": None, ".snet4-notes/diary.txt": b"mine"}

    def test_a_file_or_link_of_that_name_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / ".snet4-file").write_text("mine")
        treasure = tmp_path / "treasure"
        treasure.mkdir()
        (treasure / "result.gpkg").write_text("mine")
        (tmp_path / ".snet4-link").symlink_to(treasure)
        before = tree(tmp_path)
        with work_folder(tmp_path):
            pass
        assert tree(tmp_path) == before

    def test_many_at_once_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    with outputs.replacing(tmp_path / f"{number}-{turn}.txt") as (temporary,):
                        temporary.write_text("complete")
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert set(tree(tmp_path).values()) == {b"complete"}
        assert len(tree(tmp_path)) == 80

    def test_a_lock_that_never_comes_free_does_not_stop_us(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workfolder, "_PATIENCE_S", 0.05)
        fcntl = pytest.importorskip("fcntl")
        descriptor = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with work_folder(tmp_path) as folder:
            assert folder.is_dir()
        os.close(descriptor)


class TestNames:
    @given(st.text())
    def test_a_cell_gives_back_its_text(self, text: str) -> None:
        assert cell_text(cell(text)) == text

    @given(st.text())
    def test_no_cell_begins_a_formula(self, text: str) -> None:
        assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))

    @given(st.text(alphabet="'=+-@a\t"))
    def test_apostrophes_in_the_text_survive(self, text: str) -> None:
        assert cell_text(cell(text)) == text

    @given(st.text(st.characters(codec=None)))
    def test_whatever_the_file_system_holds_can_be_stored(self, text: str) -> None:
        storable(text).encode("utf-8")

    @given(st.text(st.characters(codec=None)))
    def test_messages_stay_on_one_line_and_run_one_way(self, text: str) -> None:
        shown = printable(text)
        assert len(shown.splitlines()) <= 1
        assert not set(shown) & set("\n\r\x1b\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
