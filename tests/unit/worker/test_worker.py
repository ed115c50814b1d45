"""The engine over a pipe: one job in, events out, and nothing left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from snet4core.errors import UsageError
from snet4core.parts.plan import Choices
from snet4core.worker import __main__
from snet4core.worker import channel as worker_channel
from snet4core.worker.request import PROTOCOL, Request, parse

STUB = Path(__file__).resolve().parents[2] / "helpers" / "worker_stub.py"
Events = list[dict[str, Any]]


class Client:
    """A worker process, as a plugin would hold it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout

    def ask(self, **job: Any) -> None:
        self.stdin.write(json.dumps({"protocol": PROTOCOL, **job}).encode() + b"\n")
        self.stdin.flush()

    def until_last(self) -> Events:
        """All events up to a result or an error; every line must be one."""
        events: Events = []
        for line in self.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] in ("result", "error"):
                break
        return events

    def wait_for(self, kind: str) -> dict[str, Any]:
        return next(e for e in map(json.loads, self.stdout) if e["event"] == kind)

    def let_go(self) -> float:
        """Close the lifeline; returns how many seconds the worker lived on."""
        started_s = time.monotonic()
        self.stdin.close()
        self.process.wait(10)
        return time.monotonic() - started_s


@contextmanager
def worker_process(*command: str) -> Iterator[Client]:
    process = subprocess.Popen(
        [sys.executable, *(command or ("-I", "-m", "snet4core.worker"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        with process:
            yield Client(process)
            process.kill()
    finally:
        process.kill()


def living_in(group: int) -> list[list[str]]:
    """Processes of a group that still run; one that waits to be buried does not."""
    found = subprocess.run(
        ["ps", "-e", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    lines = [line.split(maxsplit=2) for line in found.stdout.splitlines()]
    return [args for pgid, state, *args in lines if int(pgid) == group and state[0] != "Z"]


@pytest.fixture
def town(picture: Any) -> Path:
    """Three bright houses on dark ground, over nine windows."""
    counts_BHW = np.full((4, 180, 180), 300, np.uint16)
    for row, col in ((20, 30), (90, 100), (130, 20)):
        counts_BHW[:, row : row + 24, col : col + 30] = 900
    return Path(picture(counts_BHW, "town.tif"))


def extract(client: Client, scene: Path, folder: Path, **more: Any) -> None:
    client.ask(kind="extract", scene=str(scene), folder=str(folder), off_nadir_deg=30, **more)


def test_the_result_is_a_layer_and_lives_as_long_as_the_lifeline(
    town: Path, tmp_path: Path
) -> None:
    with worker_process(str(STUB)) as client:
        extract(client, town, tmp_path)
        events = client.until_last()
        result = events[-1]
        assert result["event"] == "result"
        assert result["count"] == 3
        with fiona.open(result["output"], layer=result["layer"]) as layer:
            assert len(layer) == 3
            assert layer.crs.to_epsg() == 32616
        assert client.let_go() < 3
        assert client.process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["town.tif"]


def test_progress_never_goes_back_and_ends_at_all(town: Path, tmp_path: Path) -> None:
    with worker_process(str(STUB), "steady") as client:
        extract(client, town, tmp_path)
        shares = [e["percent"] for e in client.until_last() if e["event"] == "progress"]
    assert shares == sorted(set(shares))
    assert shares[0] == 0
    assert shares[-1] == 100
    assert len(shares) > 3


def test_nothing_that_is_printed_comes_between_the_events(town: Path, tmp_path: Path) -> None:
    with worker_process(str(STUB), "noisy") as client:
        extract(client, town, tmp_path)
        assert client.until_last()[-1]["count"] == 3
        client.let_go()
        assert client.process.stderr is not None
        said = client.process.stderr.read()
    assert b"a print" in said
    assert b"a C library" in said


@pytest.mark.parametrize("mode", ["slow", "stuck", "child"])
def test_the_end_of_stdin_ends_everything_within_3_s(mode: str, town: Path, tmp_path: Path) -> None:
    maps = tmp_path / "kept" / "maps.tif"
    maps.parent.mkdir()
    with worker_process(str(STUB), mode) as client:
        extract(client, town, tmp_path, save_maps=str(maps))
        client.wait_for("progress")
        time.sleep(1.5)  # now it is in the midst of its windows
        group = client.process.pid
        assert os.getpgid(group) == group
        assert client.let_go() < 3
    # On a busy machine a child that was told to end is still there for a moment.
    patience = time.monotonic() + 3
    while living_in(group) and time.monotonic() < patience:
        time.sleep(0.02)
    assert living_in(group) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "town.tif"]
    assert list(maps.parent.iterdir()) == []


def test_the_lifeline_is_held_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys, snet4core.worker.__main__\n"
        "print(sorted({'numpy', 'rasterio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_client_that_is_killed_leaves_no_worker(town: Path, tmp_path: Path) -> None:
    client_code = (
        "import json, subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, sys.argv[1], 'slow'], stdin=subprocess.PIPE)\n"
        "p.stdin.write(sys.argv[2].encode() + b'\\n'); p.stdin.flush()\n"
        "print(p.pid, file=sys.stderr, flush=True); time.sleep(60)\n"
    )
    job = {"protocol": PROTOCOL, "kind": "extract", "scene": str(town), "off_nadir_deg": 30}
    process = subprocess.Popen(
        [sys.executable, "-c", client_code, str(STUB), json.dumps(job | {"folder": str(tmp_path)})],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        worker_pid = int(process.stderr.readline())
        process.stdout.readline()
        process.kill()
    for _ in range(40):
        with suppress(ProcessLookupError):
            os.kill(worker_pid, 0)
            time.sleep(0.1)
            continue
        break
    else:
        os.kill(worker_pid, signal.SIGKILL)
        pytest.fail("the worker lives on")
    assert [path.name for path in tmp_path.iterdir()] == ["town.tif"]


@pytest.mark.parametrize(
    ("mode", "code", "says"),
    [("bug", 1, "bug in snet4"), ("memory", 4, "Out of memory")],
)
def test_what_nobody_foresaw_is_one_sentence(
    mode: str, code: int, says: str, town: Path, tmp_path: Path
) -> None:
    with worker_process(str(STUB), mode) as client:
        extract(client, town, tmp_path)
        last = client.until_last()[-1]
        assert client.process.wait(5) == code
    assert last["code"] == code
    assert says in last["sentence"]
    assert "\n" not in last["sentence"]
    assert [path.name for path in tmp_path.iterdir()] == ["town.tif"]


def test_an_empty_layer_comes_with_the_likely_reason(town: Path, tmp_path: Path) -> None:
    with worker_process(str(STUB), "dark") as client:
        extract(client, town, tmp_path)
        result = client.until_last()[-1]
    assert result["count"] == 0
    assert "highest building probability was 0.39" in result["why_none"]


def test_maps_are_kept_and_give_the_same_footprints(town: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps.tif"
    with worker_process(str(STUB)) as client:
        extract(client, town, tmp_path, save_maps=str(maps))
        first = Path(client.until_last()[-1]["output"]).read_bytes()
    with worker_process(str(STUB)) as client:
        client.ask(kind="polygonize", maps=str(maps), folder=str(tmp_path))
        result = client.until_last()[-1]
        again = Path(result["output"]).read_bytes()
    assert result["count"] == 3
    assert _features(first, tmp_path) == _features(again, tmp_path)


def test_a_warm_worker_shapes_a_part_again_and_again(town: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps.tif"
    with worker_process(str(STUB)) as client:
        extract(client, town, tmp_path, save_maps=str(maps))
        client.until_last()
    job = {"kind": "preview", "maps": str(maps)}
    with rasterio.open(maps) as file:
        left, _, _, top = file.bounds
    near = [left, top - 40, left + 40, top]
    with worker_process(str(STUB)) as client:
        client.ask(**job, number=1)
        first = client.wait_for("shapes")
        assert (first["number"], first["count"], first["is_whole"]) == (1, 3, True)
        client.ask(**job, number=2, bounds=near)
        second = client.wait_for("shapes")
        assert (second["number"], second["count"]) == (2, 1)
        assert len(shapely.from_wkb(second["shapes"]).geoms) == 1
        client.ask(**job, number=3, bounds=near, min_area_m2=1e6)
        empty = client.wait_for("shapes")
        assert (empty["count"], empty["settings"]["min_area_m2"]) == (0, 1e6)
        assert shapely.from_wkb(empty["shapes"]).is_empty
        assert empty["settings"]["height_min_m"] is None
        client.ask(**job, number=31, bounds=near, height_min_m=3.5)
        assert client.wait_for("shapes")["settings"]["height_min_m"] == 3.5
        client.ask(**job, number=4, threshold=7)
        assert "between 0 and 1" in client.wait_for("refused")["sentence"]
        client.ask(kind="preview", maps=str(town), number=5)
        assert "start another" in client.wait_for("refused")["sentence"]
        client.ask(kind="dance")
        assert client.wait_for("refused")["number"] is None
        client.ask(**job, number=6)
        assert client.wait_for("shapes")["number"] == 6
        assert client.let_go() < 3


def test_of_lines_that_wait_the_newest_is_taken() -> None:
    mailbox = worker_channel.Mailbox()
    mailbox.put(b'{"number": 1}\n{"num')
    mailbox.put(b'ber": 2}\n{"number"')
    assert mailbox.take() == b'{"number": 2}'
    mailbox.put(b": 3}\n")
    assert mailbox.take() == b'{"number": 3}'
    mailbox.put(b'{"number": 4}\n{"number": 5}\n')
    assert mailbox.take() == b'{"number": 5}'
    mailbox.close()
    assert mailbox.take() is None


def test_maps_that_cannot_be_opened_end_a_preview(tmp_path: Path) -> None:
    with worker_process(str(STUB)) as client:
        client.ask(kind="preview", maps=str(tmp_path / "none.tif"))
        assert "none.tif" in client.until_last()[-1]["sentence"]
        assert client.process.wait(5) == 5


def test_an_azimuth_without_any_angle_is_refused_for_maps_from_elsewhere(tmp_path: Path) -> None:
    maps = tmp_path / "maps.tif"
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        maps, "w", crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), **profile
    ) as file:
        file.write(np.full((1, 64, 64), 200, np.uint8))
    with worker_process(str(STUB)) as client:
        client.ask(kind="polygonize", maps=str(maps), folder=str(tmp_path), azimuth_deg=20)
        last = client.until_last()[-1]
        assert client.process.wait(5) == 2
    assert last["code"] == 2
    assert "--off-nadir" in last["sentence"]
    assert [path.name for path in tmp_path.iterdir()] == ["maps.tif"]


def test_maps_that_hold_classes_are_doubted(tmp_path: Path) -> None:
    maps = tmp_path / "maps.tif"
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        maps, "w", crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), **profile
    ) as file:
        file.write(np.arange(64 * 64, dtype=np.uint8).reshape(1, 64, 64) % 2 + 1)
    with worker_process(str(STUB)) as client:
        client.ask(kind="polygonize", maps=str(maps), folder=str(tmp_path))
        told = [each["text"] for each in client.until_last() if each["event"] == "warning"]
    assert [text for text in told if "-scale 1 2 0 255" in text]


def _features(gpkg: bytes, folder: Path) -> list[Any]:
    path = folder / "read.gpkg"
    path.write_bytes(gpkg)
    with fiona.open(path, layer="footprints") as layer:
        return [(each.geometry, dict(each.properties)) for each in layer]


def test_a_plan_says_the_look_the_pixels_and_the_command(town: Path) -> None:
    with worker_process(str(STUB)) as client:
        # Not to make right angles is what the card says, so the command need not.
        more = {"s_per_mpix": 100.0, "regularize": False}
        client.ask(kind="plan", scene=str(town), off_nadir_deg=60, **more)
        plan = client.until_last()[-1]
    assert plan["look"] == {
        "off_nadir_deg": 60,
        "azimuth_deg": None,
        "category": "very-off-nadir",
        "source": "option",
    }
    assert plan["gsd_m"] == pytest.approx(0.5, rel=1e-3)
    assert plan["model"]["gsd_range_m"] == [0.3, 1.0]
    assert plan["estimate_s"] == pytest.approx(5 + 100 * 0.18**2)
    assert plan["command"] == f"snet4 run {town} -o footprints.gpkg --off-nadir 60"
    assert any("outside" in text for text in plan["warnings"])


@pytest.mark.parametrize(
    ("scales", "seen_at", "option"),
    [
        (None, "", ""),
        ([1], "", " --tta 1"),
        ([0.7, 0.95, 1, 1.1], " at 0.7, 0.95, 1, 1.1", " --tta 0.7,0.95,1,1.1"),
    ],
    ids=["the card's", "one", "four"],
)
def test_scales_reach_the_network_and_the_command_line(
    town: Path, tmp_path: Path, scales: list[float] | None, seen_at: str, option: str
) -> None:
    with worker_process(str(STUB)) as client:
        client.ask(
            kind="extract", scene=str(town), off_nadir_deg=30, folder=str(tmp_path), scales=scales
        )
        *events, result = client.until_last()
    [plan] = [event for event in events if event["event"] == "plan"]
    assert plan["command"] == f"snet4 run {town} -o footprints.gpkg --off-nadir 30{option}"
    assert result["device"] == f"cpu (stand-in{seen_at}, fp32)"


def test_the_environment_of_another_program_is_set_aside(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj" / "proj.db").write_bytes(b"no database")
    foreign = {"PROJ_DATA": str(tmp_path / "proj"), "GDAL_SKIP": "GTiff"}
    for variable, value in foreign.items():
        monkeypatch.setenv(variable, value)
    with worker_process() as client:
        client.ask(kind="plan", scene=str(town), off_nadir_deg=30)
        last = client.until_last()[-1]
    assert last["event"] == "result", last


def test_a_look_that_nobody_knows_is_said_before_the_network_is_loaded(town: Path) -> None:
    with worker_process(str(STUB)) as client:
        client.ask(kind="extract", scene=str(town))
        *before, last = client.until_last()
    assert last["code"] == 5
    assert "give the angle with --off-nadir DEGREES (0 is" in last["sentence"]
    named = [part for part in last["sentence_parts"] if isinstance(part, dict)]
    assert named == [
        {"option": "off_nadir_deg", "text": "--off-nadir DEGREES"},
        {"option": "azimuth_deg", "text": "--azimuth"},
    ]
    texts = (p["text"] if isinstance(p, dict) else p for p in last["sentence_parts"])
    assert "".join(texts) == last["sentence"]
    assert [event["event"] for event in before] == ["hello"]


def test_a_score_is_that_of_the_library(tmp_path: Path) -> None:
    head = "ImageId,BuildingId,PolygonWKT_Pix,Confidence\n"
    image = "Atlanta_nadir8_catid_10300100023BC100_743501_3728739"
    box = "POLYGON ((0 0, 0 {0}, {0} {0}, {0} 0, 0 0))"
    for name, size in (("found", 10), ("truth", 11)):
        table = tmp_path / f"{name}.csv"
        table.write_text(f'{head}{image},1,"{box.format(size)}",1\n', encoding="utf-8")
    with worker_process() as client:
        client.ask(
            kind="score",
            proposals=str(tmp_path / "found.csv"),
            truth=str(tmp_path / "truth.csv"),
        )
        score = client.until_last()[-1]["score"]
    assert score["total"]["tp"] == 1
    assert score["total"]["f1"] == 1


def test_a_check_tells_versions_and_where_proj_found_its_data() -> None:
    with worker_process() as client:
        client.ask(kind="check", model="no such model")
        facts = client.until_last()[-1]["facts"]
    assert facts["engine"]["snet4"] == __main__.__version__
    assert facts["geography"]["CRS"] == "EPSG:32616 is known"
    assert "no such model" in facts["model"]["problem"]


def test_events_go_out_whole_from_many_threads() -> None:
    reader, writer = os.pipe()
    stop = threading.Event()
    channel = worker_channel.Channel(writer, stop)
    text = "x" * 70_000  # more than a pipe holds
    threads = [
        threading.Thread(target=channel.send, args=("info",), kwargs={"text": text})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    with os.fdopen(reader, "rb") as lines:
        events = [json.loads(lines.readline()) for _ in threads]
        for thread in threads:
            thread.join()
    assert all(event["text"] == text for event in events)
    channel.send("info", text="nobody reads this any more")
    os.close(writer)
    assert stop.is_set()


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (b"", "not one line of JSON"),
        (b"[1]\n", "JSON object"),
        (b"{}\n", "protocol None"),
        (b'{"protocol": 1, "kind": "dance"}\n', "'dance' is unknown"),
        (b'{"protocol": 1, "kind": "plan", "treshold": 1}\n', "unknown entry 'treshold'"),
        (b'{"protocol": 1, "kind": "plan", "threshold": "1"}\n', "'threshold' cannot be '1'"),
        (b'{"protocol": 1, "kind": "plan", "threshold": NaN}\n', "'threshold' cannot be nan"),
        (b'{"protocol": 1, "kind": "plan", "threshold": true}\n', "'threshold' cannot be True"),
        (b'{"protocol": 1, "kind": "plan", "bounds": [1, 2, 3]}\n', "'bounds' cannot be"),
        (b'{"protocol": 1, "kind": "plan", "model": null}\n', "'model' cannot be None"),
        (b'{"protocol": 1, "kind": "plan", "scales": []}\n', "'scales' cannot be"),
        (b'{"protocol": 1, "kind": "plan", "scales": "0.7,1"}\n', "'scales' cannot be '0.7,1'"),
        (b'{"protocol": 1, "kind": "plan", "scales": [1, null]}\n', "'scales' cannot be"),
    ],
)
def test_a_job_that_is_none_is_refused_by_name(job: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(job)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists) | st.integers())
def test_no_value_of_an_entry_is_more_than_a_usage_error(value: Any) -> None:
    for name in ("threshold", "bounds", "regularize", "scene", "model", "scales"):
        line = json.dumps({"protocol": PROTOCOL, "kind": "plan", name: value}).encode()
        with suppress(UsageError):
            assert isinstance(parse(line), Request)


@given(
    scene=st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1),
    threshold=st.none() | st.floats(0, 1).map(lambda value: float(f"{value:.6g}")),
    bounds=st.none() | st.tuples(*[st.floats(-1e7, 1e7)] * 4),
    regularize=st.none() | st.booleans(),
    off_nadir_deg=st.none() | st.sampled_from([0.0, 29.5, 80.0]),
)
def test_the_command_line_means_the_same(
    scene: str,
    threshold: float | None,
    bounds: tuple[float, float, float, float] | None,
    regularize: bool | None,
    off_nadir_deg: float | None,
) -> None:
    import shlex

    from snet4_cli.run import run

    choices = Choices(
        threshold=threshold, bounds=bounds, regularize=regularize, off_nadir_deg=off_nadir_deg
    )
    request = Request("extract", choices, scene=scene, shown_output="o.gpkg")
    program, verb, *words = shlex.split(request.command())
    assert (program, verb) == ("snet4", "run")
    given_options = run.make_context("run", words).params
    assert Path(given_options["scenes"][0]) == Path(scene)
    for name in ("threshold", "bounds", "regularize", "off_nadir_deg"):
        assert given_options[name] == getattr(choices, name)


def test_every_choice_can_be_sent_and_is_shown_as_an_option_of_the_command_line() -> None:
    from snet4_cli.run import run

    flags = {parameter.name: parameter.opts[0] for parameter in run.params}
    values = {"bands": "3,2,1,4", "crs": "EPSG:32616", "bounds": [1, 2, 3, 4]}
    values |= {"regularize": True, "roofs": True}
    for field in dataclasses.fields(Choices):
        if field.name in ("allow_remote", "footprints_from"):
            continue  # a worker opens no connections; no program offers the other
        value = values.get(field.name, "a.csv" if "Path" in str(field.type) else 0.5)
        job = {"protocol": PROTOCOL, "kind": "plan", "scene": "a.tif", field.name: value}
        request = parse(json.dumps(job).encode())
        assert getattr(request.choices, field.name) is not None
        assert flags[field.name] in request.command().split()
    with pytest.raises(UsageError, match="unknown entry 'allow_remote'"):
        parse(json.dumps({"protocol": PROTOCOL, "kind": "plan", "allow_remote": True}).encode())


def test_the_worker_needs_neither_the_command_line_nor_a_network_to_plan(town: Path) -> None:
    code = (
        "import sys, snet4core.worker.__main__, snet4core.worker.jobs\n"
        "print(sorted({'torch', 'snet4_cli', 'snet4_training'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
