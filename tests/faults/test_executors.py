"""Whoever computes the parts, and whatever dies meanwhile: the same bytes, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
from helpers.bright import CARD, ELSEWHERE, Bright, BrightModel, write_town  # noqa: E402
from snet4core.errors import (  # noqa: E402
    Cancelled,
    EngineError,
    InputError,
    OutputError,
    UsageError,
)
from snet4core.files.places import FolderPlace  # noqa: E402
from snet4core.jobs.executors import Executor  # noqa: E402
from snet4core.jobs.job import Done, Job, Shard  # noqa: E402
from snet4core.jobs.merge import Merge, merge  # noqa: E402
from snet4core.jobs.processes import Processes  # noqa: E402
from snet4core.jobs.run import run_job  # noqa: E402
from snet4core.parts.part import parts_of  # noqa: E402
from snet4core.parts.plan import Choices  # noqa: E402
from snet4core.progress import Progress, Silent  # noqa: E402
from snet4core.scene.inputs import SceneInput  # noqa: E402
from snet4core.windows import Window  # noqa: E402

CHOICES = Choices(off_nadir_deg=30.0, min_area_m2=1.0)
PARTS = 16
ONE = Window(32, 64, 32, 32)
"""A window in the part of rows 0 to 64, columns 64 to 128."""


def job_in(folder: Path, scenes: Sequence[Path], **more: Any) -> Job:
    folder.mkdir(exist_ok=True)
    options = {"stop_at_error": len(scenes) == 1, **more}
    return Job(
        tuple(SceneInput(str(each)) for each in scenes), CHOICES, folder / "o.gpkg", **options
    )


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_town(tmp_path_factory.mktemp("scene") / "town.tif")


@pytest.fixture(scope="module")
def undisturbed(town: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    job = job_in(tmp_path_factory.mktemp("plain"), [town])
    run_job(job, Bright(), Silent())
    return job.output.read_bytes()


def whole(job: Job, executor: Executor, progress: Progress | None = None) -> Done:
    return run_job(job, ELSEWHERE, progress or Silent(), executor)


def parts_folder(job: Job) -> Path:
    return Path(str(job.parts_place))


def kept(job: Job) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in parts_folder(job).glob("*/*.part")}


def test_the_town_has_as_many_parts_as_the_tests_say() -> None:
    windows = (CARD.windows.core_px, CARD.windows.halo_px, CARD.architecture.stride_px)
    assert len(parts_of((200, 230), windows)) == PARTS


class StopAfter(Silent):
    """Wants to stop once so many parts were done."""

    def __init__(self, parts: int) -> None:
        self.parts = self.left = parts

    def step(self, done: float, total: float, what: str) -> None:
        self.left = self.parts - done if what == "parts" else self.left

    def cancelled(self) -> bool:
        return self.left <= 0


class TestProcesses:
    def test_two_processes_give_the_same_bytes(
        self, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        job = job_in(tmp_path / "a", [town])
        whole(job, Processes(BrightModel(), 2))
        assert job.output.read_bytes() == undisturbed
        assert not parts_folder(job).exists()

    def test_a_worker_that_dies_once_takes_nothing_with_it(
        self, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        job = job_in(tmp_path / "a", [town])
        model = BrightModel(deadly=ONE, deadly_once=tmp_path / "died")
        done = whole(job, Processes(model, 2))
        assert (tmp_path / "died").exists()
        assert done.lost == []
        assert job.output.read_bytes() == undisturbed

    def test_a_part_that_always_kills_its_worker_is_named_and_the_rest_is_written(
        self, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        job = job_in(tmp_path / "a", [town], resume=True)
        done = whole(job, Processes(BrightModel(deadly=ONE), 2))
        assert done.lost == ["town, rows 0 to 64, columns 64 to 128"]
        assert job.output.stat().st_size > 0
        assert job.output.read_bytes() != undisturbed
        # The others are kept: once the cause is removed, only that part is computed.
        before = kept(job)
        assert len(before) == PARTS - 1
        again = replace(job, overwrite=True)
        assert whole(again, Processes(BrightModel(), 1)).lost == []
        assert job.output.read_bytes() == undisturbed

    def test_what_nobody_foresaw_in_a_worker_is_tried_again_and_then_named(
        self, town: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        done = whole(job_in(tmp_path / "a", [town]), Processes(BrightModel(absurd=ONE), 2))
        assert len(done.lost) == 1
        assert caplog.text.count("ZeroDivisionError: surprise") == 3

    def test_a_part_that_was_damaged_since_is_computed_again(
        self, town: Path, tmp_path: Path, undisturbed: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = job_in(tmp_path / "a", [town], resume=True)
        whole(job, Processes(BrightModel(deadly=ONE), 2))
        damaged = sorted(parts_folder(job).glob("*/*.part"))[3]
        damaged.write_bytes(damaged.read_bytes()[:-1])
        done = whole(replace(job, overwrite=True), Processes(BrightModel(), 2))
        assert done.lost == []
        assert "the part is damaged (its checksum is wrong)" in caplog.text
        assert job.output.read_bytes() == undisturbed

    def test_a_broken_picture_is_the_scenes_own_error(self, town: Path, tmp_path: Path) -> None:
        job = job_in(tmp_path / "a", [town])
        with pytest.raises(InputError, match="breaks off in row 32"):
            whole(job, Processes(BrightModel(unreadable=ONE), 2))
        assert not job.output.exists()

    def test_a_broken_scene_of_several_is_named_and_the_others_are_written(
        self, town: Path, tmp_path: Path
    ) -> None:
        small = write_town(tmp_path / "small.tif", shape=(40, 50))
        job = job_in(tmp_path / "a", [small, town])
        done = whole(job, Processes(BrightModel(unreadable=ONE), 2))
        assert list(done.failed) == [str(town)]
        assert done.found[str(small)] > 0

    def test_a_worker_of_another_form_is_refused(self, town: Path, tmp_path: Path) -> None:
        job = job_in(tmp_path / "a", [town])
        with pytest.raises(EngineError, match=r"worker computes parts of form .* for form other"):
            whole(job, Processes(BrightModel(form="other"), 2))

    def test_a_run_that_fails_before_its_first_part_leaves_nothing_to_go_on_with(
        self, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        job = job_in(tmp_path / "a", [town])
        with pytest.raises(EngineError):
            whole(job, Processes(BrightModel(form="other"), 2))
        assert list(job.output.parent.iterdir()) == []
        job.check_places()  # as every run does at first
        run_job(job, Bright(), Silent())
        assert job.output.read_bytes() == undisturbed

    def test_one_that_fails_later_keeps_the_parts_of_before(
        self, town: Path, tmp_path: Path
    ) -> None:
        job = job_in(tmp_path / "a", [town], resume=True)
        with pytest.raises(Cancelled):
            whole(job, Processes(BrightModel(pause_s=0.02), 2), StopAfter(5))
        before = kept(job)
        with pytest.raises(EngineError):
            whole(job, Processes(BrightModel(form="other"), 2))
        assert kept(job) == before

    def test_ctrl_c_ends_all_workers_at_once_and_another_executor_goes_on(
        self, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        job = job_in(tmp_path / "a", [town], resume=True)
        with pytest.raises(Cancelled):
            whole(job, Processes(BrightModel(pause_s=0.02), 2), StopAfter(5))
        before = kept(job)
        assert 5 <= len(before) < PARTS
        run_job(job, Bright(), Silent())
        assert job.output.read_bytes() == undisturbed

    def test_workers_end_when_their_driver_is_killed(self, town: Path, tmp_path: Path) -> None:
        job = job_in(tmp_path / "a", [town], resume=True)
        script = (
            "import sys; from pathlib import Path\n"
            "from helpers.bright import *; from snet4core.jobs.job import *\n"
            "from snet4core.jobs.run import *\n"
            "from snet4core.jobs.processes import Processes\n"
            "if __name__ == '__main__':\n"
            "    job = Job((SceneInput(sys.argv[1]),), Choices(off_nadir_deg=30.0, "
            "min_area_m2=1.0), Path(sys.argv[2]), resume=True)\n"
            "    from snet4core.progress import Silent\n"
            "    run_job(job, ELSEWHERE, Silent(), Processes(BrightModel(pause_s=0.1), 2))\n"
        )
        program = tmp_path / "driver.py"
        program.write_text(script)
        driver = subprocess.Popen(
            [sys.executable, str(program), str(town), str(job.output)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        )
        try:
            wait_for(lambda: len(kept(job)) >= 2)
            workers = children_of(driver.pid)
            assert len(workers) >= 2
        finally:
            driver.kill()
            driver.wait()
        wait_for(lambda: not any(is_running(pid) for pid in workers))


def wait_for(condition: Any, limit_s: float = 30.0) -> None:
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Processes started by one, on Linux."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("the system does not tell which processes another started")
    return [int(word) for word in listed.read_text().split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class TestShards:
    @pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 1, 2), (3, 2, 1)])
    def test_shards_and_merge_give_the_same_bytes(
        self, town: Path, tmp_path: Path, undisturbed: bytes, numbers: tuple[int, ...]
    ) -> None:
        found = []
        for number in numbers:
            job = job_in(tmp_path / "a", [town], shard=Shard(number, 3))
            job.check_places()
            found.append(run_job(job, Bright(), Silent()).parts)
        assert sum(found) == PARTS
        assert max(found) - min(found) <= 1
        output = tmp_path / "merged.gpkg"
        done = merge(Merge((job.parts_place,), output), Silent())
        assert output.read_bytes() == undisturbed
        assert done.missing == []

    def test_shards_from_several_places_are_merged_together(
        self, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        folders = []
        for number in (1, 2):
            job = job_in(tmp_path / str(number), [town], shard=Shard(number, 2))
            run_job(job, Bright(), Silent())
            folders.append(job.parts_place)
        output = tmp_path / "merged.gpkg"
        merge(Merge(tuple(folders), output, remove=True), Silent())
        assert output.read_bytes() == undisturbed
        assert not any(folder.is_there() for folder in folders)

    def test_many_scenes_are_shared_as_whole_scenes(self, tmp_path: Path) -> None:
        scenes = [write_town(tmp_path / f"{n}.tif", n, (70, 70)) for n in range(5)]
        plain = job_in(tmp_path / "plain", scenes)
        run_job(plain, Bright(), Silent())
        counts = []
        for number in (1, 2):
            job = job_in(tmp_path / "a", scenes, shard=Shard(number, 2))
            counts.append(run_job(job, Bright(), Silent()).parts)
        assert counts == [2 * 4, 3 * 4]
        merge(Merge((job.parts_place,), job.output), Silent())
        assert job.output.read_bytes() == plain.output.read_bytes()

    def test_missing_parts_are_named(self, town: Path, tmp_path: Path) -> None:
        job = job_in(tmp_path / "a", [town], shard=Shard(1, 2))
        run_job(job, Bright(), Silent())
        output = tmp_path / "merged.gpkg"
        with pytest.raises(InputError, match=r"8 of 16 parts are missing \(town, rows 0 to 64"):
            merge(Merge((job.parts_place,), output), Silent())
        assert not output.exists()
        done = merge(Merge((job.parts_place,), output, allow_missing=True), Silent())
        assert len(done.missing) == 8
        assert output.exists()

    def test_a_damaged_part_is_named_by_merge(self, town: Path, tmp_path: Path) -> None:
        job = job_in(tmp_path / "a", [town], shard=Shard(1, 1))
        run_job(job, Bright(), Silent())
        next(iter(sorted(parts_folder(job).glob("*/*.part")))).write_bytes(b"no part")
        with pytest.raises(InputError, match="is damaged; run its shard again"):
            merge(Merge((job.parts_place,), tmp_path / "m.gpkg"), Silent())

    def test_shards_of_different_runs_are_not_mixed(self, town: Path, tmp_path: Path) -> None:
        folders = []
        for number, threshold in ((1, 0.5), (2, 0.6)):
            job = job_in(tmp_path / str(number), [town], shard=Shard(number, 2))
            job = replace(job, choices=replace(CHOICES, threshold=threshold))
            run_job(job, Bright(), Silent())
            folders.append(job.parts_place)
        with pytest.raises(InputError, match=r"threshold was 0\.5, is 0\.6"):
            merge(Merge(tuple(folders), tmp_path / "m.gpkg"), Silent())

    def test_what_is_no_folder_of_parts_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no parts"):
            merge(Merge((FolderPlace(tmp_path),), tmp_path / "m.gpkg"), Silent())
        assert list(tmp_path.iterdir()) == []

    def test_merge_waits_for_no_shard_that_still_runs(self, town: Path, tmp_path: Path) -> None:
        if sys.platform == "win32":
            pytest.skip("no such locks there")
        job = job_in(tmp_path / "a", [town], shard=Shard(1, 1))
        slow = threading.Thread(
            target=run_job, args=(job, Bright(BrightModel(pause_s=0.05)), Silent())
        )
        slow.start()
        try:
            wait_for(lambda: len(kept(job)) >= 1)
            with pytest.raises(OutputError, match="in use by another run"):
                merge(Merge((job.parts_place,), tmp_path / "m.gpkg"), Silent())
        finally:
            slow.join()

    @pytest.mark.parametrize(("number", "of"), [(4, 3), (-1, 3), (1, 0)])
    def test_a_share_that_does_not_exist_is_refused(self, number: int, of: int) -> None:
        with pytest.raises(UsageError, match=f"no shard {number}/{of}"):
            Shard(number, of)


class RealCluster:
    """A scheduler and workers in processes of their own, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self._folder = folder
        self._log = (folder / "dask.log").open("wb")
        self.workers: list[subprocess.Popen[bytes]] = []
        self._start_scheduler()

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "tests"),
                "PYTHONWARNINGS": "ignore",
                "OMP_NUM_THREADS": "1",
                "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            },
            cwd=self._folder,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _start_scheduler(self) -> None:
        self.file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(self.file)
        )
        wait_for(lambda: self.file.exists() and self.file.stat().st_size > 0)

    @property
    def address(self) -> str:
        import json

        return str(json.loads(self.file.read_text())["address"])

    def have(self, least: int, most: int) -> None:
        """Wait until between so many workers are ready, whatever an earlier test has killed."""
        from distributed import Client

        if self.scheduler.poll() is not None or len(self.workers) > most:
            self._kill()
            self._start_scheduler()
        while len(self.workers) < least:
            options = ("--nthreads", "1", "--scheduler-file", str(self.file))
            self.workers.append(self._start("worker", *options))
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=60)

    def _kill(self) -> None:
        for process in [*self.workers, self.scheduler]:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.workers = []

    def stop(self) -> None:
        self._kill()
        self._log.close()


@pytest.fixture(scope="module")
def only_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    pytest.importorskip("distributed", reason="Dask is not installed")
    if not hasattr(os, "killpg"):
        pytest.skip("clusters are started as groups of processes")
    real = RealCluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield real
    finally:
        real.stop()


@pytest.fixture
def cluster(only_cluster: RealCluster) -> RealCluster:
    """This file's one cluster, alive, with one to four workers: starting one takes seconds."""
    only_cluster.have(least=1, most=4)
    return only_cluster


# Dask leaves sockets and loops to the garbage collector when a scheduler dies.
@pytest.mark.filterwarnings("ignore")
class TestDask:
    def test_one_two_and_four_workers_give_the_same_bytes(
        self, cluster: RealCluster, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        from snet4core.jobs.cluster import Cluster

        for count in (1, 2, 4):
            cluster.have(least=count, most=count)
            assert len(cluster.workers) == count
            job = job_in(tmp_path / str(count), [town])
            whole(job, Cluster(BrightModel(), cluster.address))
            assert job.output.read_bytes() == undisturbed, f"{count} workers"
            assert not parts_folder(job).exists()

    def test_a_worker_killed_in_mid_run_takes_nothing_with_it(
        self, cluster: RealCluster, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        from snet4core.jobs.cluster import Cluster

        job = job_in(tmp_path / "a", [town])
        model = BrightModel(deadly=ONE, deadly_once=tmp_path / "died", pause_s=0.02)
        done = whole(job, Cluster(model, cluster.address))
        assert (tmp_path / "died").exists()
        assert done.lost == []
        assert job.output.read_bytes() == undisturbed

    def test_a_part_that_always_kills_its_worker_is_named_and_the_rest_is_written(
        self, cluster: RealCluster, town: Path, tmp_path: Path
    ) -> None:
        from snet4core.jobs.cluster import Cluster

        job = job_in(tmp_path / "a", [town], resume=True)
        done = whole(job, Cluster(BrightModel(deadly=ONE), cluster.address))
        assert done.lost == ["town, rows 0 to 64, columns 64 to 128"]
        assert len(kept(job)) == PARTS - 1
        assert job.output.exists()

    def test_a_slow_worker_loses_nothing(
        self, cluster: RealCluster, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        from snet4core.jobs.cluster import Cluster

        job = job_in(tmp_path / "a", [town])
        sleeping = children_of(cluster.workers[0].pid)  # a nanny's worker

        class Freezing(Silent):
            def step(self, done: float, total: float, what: str) -> None:
                if what == "parts" and done == 2:
                    for pid in sleeping:
                        os.kill(pid, signal.SIGSTOP)
                    waking.start()

        waking = threading.Timer(2.0, lambda: [os.kill(pid, signal.SIGCONT) for pid in sleeping])
        started = time.monotonic()
        whole(job, Cluster(BrightModel(pause_s=0.05), cluster.address), Freezing())
        waking.join()
        assert time.monotonic() - started > 2.0
        assert job.output.read_bytes() == undisturbed

    def test_a_broken_picture_is_the_scenes_own_error(
        self, cluster: RealCluster, town: Path, tmp_path: Path
    ) -> None:
        from snet4core.jobs.cluster import Cluster

        with pytest.raises(InputError, match="breaks off in row 32"):
            whole(
                job_in(tmp_path / "a", [town]),
                Cluster(BrightModel(unreadable=ONE), cluster.address),
            )

    def test_workers_of_another_form_are_refused(
        self,
        cluster: RealCluster,
        town: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from snet4core.jobs import cluster as room

        monkeypatch.setattr(room, "FORMAT", "99.0")
        with pytest.raises(
            EngineError, match=r"worker .* computes parts of form .*needs form 99\.0"
        ):
            whole(job_in(tmp_path / "a", [town]), room.Cluster(BrightModel(), cluster.address))

    def test_the_scheduler_killed_in_mid_run_and_the_run_repeated(
        self, cluster: RealCluster, town: Path, tmp_path: Path, undisturbed: bytes
    ) -> None:
        from snet4core.jobs.cluster import Cluster

        job = job_in(tmp_path / "a", [town], resume=True)

        class Killing(Silent):
            def step(self, done: float, total: float, what: str) -> None:
                if what == "parts" and done == 4:
                    os.killpg(cluster.scheduler.pid, signal.SIGKILL)

        with pytest.raises(EngineError, match=r"scheduler .* has gone.*--resume"):
            whole(job, Cluster(BrightModel(pause_s=0.05), cluster.address), Killing())
        time.sleep(1.0)  # workers finish what they were at
        before = kept(job)
        assert 4 <= len(before) < PARTS
        assert not job.output.exists()
        run_job(job, Bright(), Silent())
        assert job.output.read_bytes() == undisturbed
        assert not parts_folder(job).exists()


def test_nobody_at_the_address_is_one_sentence(town: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    from snet4core.jobs import cluster as room

    before, room._CONNECT_S = room._CONNECT_S, 1
    try:
        with pytest.raises(EngineError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
            whole(job_in(tmp_path / "a", [town]), room.Cluster(BrightModel(), "tcp://127.0.0.1:9"))
    finally:
        room._CONNECT_S = before


def test_the_command_line_gives_the_same_bytes_with_every_executor(tmp_path: Path) -> None:
    """A real network and real commands; a shard is killed, and another way ends its work."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("segmentation_models_pytorch")
    pytest.importorskip("distributed", reason="Dask is not installed")
    made = (
        "from pathlib import Path; from benchmarks.faults.kill_resume import *; import sys\n"
        "write_model(Path(sys.argv[1])); write_scene(Path(sys.argv[2]), (300, 200))"
    )
    model, scene = tmp_path / "small.safetensors", tmp_path / "town.tif"
    subprocess.run([sys.executable, "-c", made, model, scene], cwd=ROOT, check=True)

    def snet4(*arguments: object) -> str:
        answer = subprocess.run(
            [sys.executable, "-m", "snet4_cli", *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        return answer.stdout + answer.stderr

    options = (
        "--model", model, "--off-nadir", 30, "--threshold", 0.56, "--min-area", 1,
        "--device", "cpu", "--precision", "fp32", "--runtime", "torch",
    )  # fmt: skip
    for name, more in (("a", ()), ("b", ("--workers", 2)), ("c", ("--cluster", "local"))):
        said = snet4("run", scene, "-o", tmp_path / f"{name}.gpkg", *options, *more)
        assert "footprints in" in said
        assert "distributed" not in said
    for number in (1, 2):
        said = snet4("run", scene, "-o", tmp_path / "d.gpkg", *options, "--shard", f"{number}/2")
        assert "snet4 merge" in said
    snet4("merge", tmp_path / "d.gpkg.parts", "-o", tmp_path / "d.gpkg", "--remove")
    layers = sorted(tmp_path.glob("*.gpkg"))
    assert [path.name for path in layers] == ["a.gpkg", "b.gpkg", "c.gpkg", "d.gpkg"]
    assert len({path.read_bytes() for path in layers}) == 1
    assert not list(tmp_path.glob("*.parts"))
