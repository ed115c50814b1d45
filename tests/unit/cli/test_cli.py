"""The command line: what a user types, the sentence and the exit code that come back."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fiona
import numpy as np
import pytest
import rasterio
from affine import Affine

from snet4_cli.main import COMMANDS, main

torch = pytest.importorskip("torch", reason="torch is not installed")

from snet4core.model import weights  # noqa: E402  # after the skip
from snet4core.model.card import Architecture, Card  # noqa: E402
from snet4core.model.exporter import export_apart  # noqa: E402
from snet4core.model.network import OffNadirNet  # noqa: E402


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def snet4(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call `snet4` as the console script does; returns exit code and both streams."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["snet4", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        streams = capfd.readouterr()
        return Answer(int(left.value.code or 0), streams.out, streams.err)

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained model: what it finds is noise, which is all that is needed here."""
    torch.manual_seed(5)
    architecture = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8))
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    weights.save(path, OffNadirNet(architecture).eval(), Card("small", architecture))
    return path


def write_picture(
    path: Path, count: int = 4, crs: str | None = "EPSG:32616", shape: tuple[int, int] = (96, 120)
) -> Path:
    rng = np.random.default_rng(2)
    counts = rng.integers(200, 900, (count, *shape)).astype(np.uint16)
    profile = {"driver": "GTiff", "count": count, "dtype": "uint16", "crs": crs}
    transform = Affine(0.5, 0, 740000, 0, -0.5, 3720000)
    with rasterio.open(
        path, "w", height=shape[0], width=shape[1], transform=transform, **profile
    ) as file:
        file.write(counts)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_picture(tmp_path / "scene.tif")
    return tmp_path


def left_behind(folder: Path) -> set[str]:
    return {each.name for each in folder.rglob("*")} - {"scene.tif"}


def test_run_then_polygonize_then_score_agree(snet4: Call, folder: Path, model: Path) -> None:
    run = snet4(
        "run", folder / "scene.tif", "-o", folder / "run.gpkg", "--model", model, "--json",
        "--off-nadir", 30, "--azimuth", 20, "--save-maps", folder / "maps.tif",
        "--csv", folder / "run.csv", "--threshold", 0.45, "--min-area", 1,
    )  # fmt: skip
    assert run.code == 0, run.err
    count = json.loads(run.out)["footprints"]
    assert count > 0
    again = snet4(
        "polygonize", folder / "maps.tif", "-o", folder / "again.gpkg", "--json",
        "--threshold", 0.45, "--min-area", 1, "--block", 50,
    )  # fmt: skip
    assert json.loads(again.out)["footprints"] == count
    scored = snet4("score", folder / "again.gpkg", folder / "run.gpkg", "--json")
    assert json.loads(scored.out)["total"]["f1"] == pytest.approx(1.0)
    assert (folder / "run.csv").read_text().splitlines()[0].startswith("ImageId,BuildingId,")


def test_an_azimuth_alone_needs_maps_that_know_the_angle(snet4: Call, tmp_path: Path) -> None:
    maps, out = write_picture(tmp_path / "maps.tif", count=1), tmp_path / "out.gpkg"
    with rasterio.open(maps) as file:
        profile = {**file.profile, "dtype": "uint8"}
    with rasterio.open(maps, "w", **profile) as file:
        file.write(np.full((1, 96, 120), 200, np.uint8))
    refused = snet4("polygonize", maps, "-o", out, "--azimuth", 20)
    assert refused.code == 2
    assert "--off-nadir" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not out.exists()
    given = snet4("polygonize", maps, "-o", out, "--azimuth", 20, "--off-nadir", 30)
    assert given.code == 0, given.err


@pytest.mark.parametrize(("least", "kept"), [(0.0, True), (0.99, False)])
def test_the_least_confidence_parts_the_sure_from_the_rest(
    snet4: Call, folder: Path, model: Path, least: float, kept: bool
) -> None:
    common = ["--threshold", 0.45, "--min-area", 1]
    run = ["run", folder / "scene.tif", "--model", model, "--off-nadir", 30, *common]
    assert snet4(*run, "-o", folder / "all.gpkg", "--save-maps", folder / "maps.tif").code == 0
    with fiona.open(folder / "all.gpkg") as layer:
        every = [one["properties"]["confidence"] for one in layer]
    sure = sum(one >= least for one in every)
    assert (sure > 0) == kept
    for command in (run, ["polygonize", folder / "maps.tif", *common]):
        answer = snet4(*command, "-o", folder / "sure.gpkg", "--overwrite", "--json",
                       "--min-confidence", least)  # fmt: skip
        assert json.loads(answer.out)["footprints"] == sure


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    snet4: Call, folder: Path, model: Path
) -> None:
    before = left_behind(folder)
    answer = snet4(
        "run", folder / "scene.tif", "-o", folder / "o.gpkg", "--model", model, "--off-nadir", 44,
        "--dry-run", "--json",
    )  # fmt: skip
    assert answer.code == 0
    (facts,) = json.loads(answer.out)
    assert "very-off-nadir" in facts["look"]
    assert "blue" in facts["bands"]
    assert left_behind(folder) == before


@pytest.mark.parametrize(
    ("make", "options", "code", "said"),
    [
        pytest.param(lambda p: p, ["--off-nadir", 9], 5, "does not exist", id="missing file"),
        pytest.param(
            lambda p: p.write_text("<html></html>"),
            ["--off-nadir", 9],
            5,
            "HTML",
            id="not a raster",
        ),
        pytest.param(
            lambda p: write_picture(p, 5), ["--off-nadir", 9], 5, "--bands", id="five bands"
        ),
        pytest.param(
            lambda p: write_picture(p, 1), ["--off-nadir", 9], 5, "--bands 1,1,1,-", id="one band"
        ),
        pytest.param(
            lambda p: write_picture(p, crs=None), ["--off-nadir", 9], 5, "CRS", id="no CRS"
        ),
        pytest.param(write_picture, [], 5, "--off-nadir", id="no angle"),
        pytest.param(write_picture, ["--off-nadir", 99], 5, "99", id="impossible angle"),
        pytest.param(
            write_picture, ["--off-nadir", 9, "--azimuth", "nan"], 5, "azimuth", id="azimuth nan"
        ),
        pytest.param(
            write_picture, ["--off-nadir", 9, "--bands", "1,2"], 2, "--bands", id="wrong map"
        ),
        pytest.param(
            write_picture, ["--off-nadir", 9, "--device", "cuda:9"], 4, "cuda:9", id="no such GPU"
        ),
        pytest.param(write_picture, ["--off-nadir", 9, "--threshold", 2], 2, "2", id="threshold"),
    ],
)
def test_bad_input_is_one_sentence_with_its_exit_code(
    snet4: Call,
    tmp_path: Path,
    model: Path,
    make: Callable[[Path], object],
    options: list[object],
    code: int,
    said: str,
) -> None:
    make(tmp_path / "picture.tif")
    before = left_behind(tmp_path)
    answer = snet4(
        "run", tmp_path / "picture.tif", "-o", tmp_path / "o.gpkg", "--model", model, *options
    )
    assert answer.code == code, answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert left_behind(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "said"),
    [("there.gpkg", "--overwrite"), ("nowhere/o.gpkg", "no such folder"), ("o.shp", "extension")],
)
def test_an_unusable_place_is_said_before_any_work(
    snet4: Call, folder: Path, model: Path, output: str, said: str
) -> None:
    (folder / "there.gpkg").write_text("mine")
    answer = snet4("run", folder / "scene.tif", "-o", folder / output, "--model", model)
    assert answer.code == 6
    assert said in answer.err
    assert (folder / "there.gpkg").read_text() == "mine"


def test_an_old_result_survives_a_run_that_fails(snet4: Call, folder: Path, model: Path) -> None:
    (folder / "o.gpkg").write_text("mine")
    answer = snet4(
        "run", folder / "scene.tif", "-o", folder / "o.gpkg", "--overwrite", "--model", model
    )
    assert answer.code == 5
    assert (folder / "o.gpkg").read_text() == "mine"


@pytest.mark.parametrize("name", ["nothing.safetensors", "seed.pt"])
def test_an_unusable_model_is_exit_code_4(snet4: Call, folder: Path, name: str) -> None:
    (folder / "seed.pt").write_bytes(b"\x80\x04")
    answer = snet4(
        "run", folder / "scene.tif", "-o", folder / "o.gpkg", "--off-nadir", 3,
        "--model", folder / name,
    )  # fmt: skip
    assert answer.code == 4
    assert name in answer.err


def test_some_failed_scenes_are_listed_and_the_rest_is_written(
    snet4: Call, folder: Path, model: Path
) -> None:
    (folder / "bad.tif").write_text("no picture")
    answer = snet4(
        "run", folder / "*.tif", "-o", folder / "o.gpkg", "--off-nadir", 3, "--model", model
    )
    assert answer.code == 3
    assert "1 of 2 scenes failed" in answer.err
    assert (folder / "o.gpkg").exists()


def test_on_error_fail_stops_and_writes_nothing(snet4: Call, folder: Path, model: Path) -> None:
    (folder / "bad.tif").write_text("no picture")
    answer = snet4(
        "run", folder / "*.tif", "-o", folder / "o.gpkg", "--off-nadir", 3, "--model", model,
        "--on-error", "fail",
    )  # fmt: skip
    assert answer.code == 5
    assert not (folder / "o.gpkg").exists()


def test_an_unknown_command_is_a_usage_error(snet4: Call) -> None:
    answer = snet4("rum")
    assert answer.code == 2
    assert "rum" in answer.err


def test_interruption_is_exit_code_130(snet4: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import snet4_cli.main as entry

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry.snet4, "main", interrupted)
    assert snet4("doctor").code == 130


def test_an_interrupted_run_of_a_layer_for_each_scene_says_what_is_there(
    snet4: Call, monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    scenes = [write_picture(tmp_path / name) for name in ("a.tif", "b.tif")]
    monkeypatch.setattr("snet4core.jobs.per_scene.run_job", interrupted)
    answer = snet4(
        "run", *scenes, "--off-nadir", 3, "--model", model, "-o", tmp_path / "{scene}.gpkg"
    )
    assert answer.code == 130
    assert "--resume leaves them alone" in answer.err


def test_an_interrupted_training_says_what_is_kept(
    snet4: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("snet4_training.chips.sources.fill", interrupted)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text('[model]\nencoder = "resnet18"\ndecoder_channels = [16, 16, 8]\n')
    out = tmp_path / "run"
    answer = snet4("train", recipe, "--out", out)
    assert answer.code == 130
    assert f"finished chips are in {out / 'chips'}" in answer.err
    monkeypatch.setattr("snet4_training.loop.records.begun_with", lambda _: {})
    (out / "checkpoint.pt").touch()
    answer = snet4("train", recipe, "--out", out, "--resume")
    assert answer.code == 130
    assert "with --resume goes on" in answer.err


def test_a_bug_is_one_sentence_and_a_report_file(
    snet4: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import tempfile

    import snet4_cli.main as entry

    def broken(**_: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(entry.snet4, "main", broken)
    answer = snet4("doctor")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    (report,) = tmp_path.glob("snet4-report-*.txt")
    assert "surprise" in report.read_text()
    assert str(report) in answer.err


def test_too_little_memory_is_no_bug(snet4: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import snet4_cli.main as entry

    def full(**_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(entry.snet4, "main", full)
    answer = snet4("run")
    assert answer.code == 4
    assert "--memory" in answer.err


def test_doctor_names_versions_device_and_model(snet4: Call, model: Path) -> None:
    report = json.loads(snet4("doctor", "--model", model, "--device", "cpu", "--json").out)
    assert report["libraries"]["torch"][0].isdigit()
    assert report["model"]["name"] == "small"
    assert report["runtime"]["device"] == "cpu"


@pytest.mark.parametrize("there", [True, False])
def test_doctor_says_whether_the_loops_are_compiled(
    snet4: Call, model: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    from snet4core import kernels

    monkeypatch.setattr(kernels, "_kernels", object() if there else None)
    asked = ("doctor", "--model", model, "--device", "cpu")
    said = "compiled loops yes\n" if there else "compiled loops no: numpy does the same"
    assert said in snet4(*asked).out
    assert json.loads(snet4(*asked, "--json").out)["compiled loops"] is there


def test_doctor_says_how_stale_loops_are_compiled_anew(
    snet4: Call, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snet4core import kernels

    monkeypatch.setattr(kernels, "_kernels", None)
    monkeypatch.setattr(kernels, "_stale", True)
    said = snet4("doctor", "--model", model, "--device", "cpu").out
    assert f"{sys.executable} -m pip install -e ." in said


@pytest.mark.parametrize("library", ["openvino", "torch"])
def test_an_engine_that_is_there_but_broken_is_no_bug(
    snet4: Call,
    folder: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
) -> None:
    """As where a library of the system is missing, or does not fit."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    # A copy: others ask what becomes of the model without a graph.
    model = Path(shutil.copy(model, tmp_path / "mine.safetensors"))
    if library == "openvino":
        assert snet4("models", "export", model).code == 0
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text("raise ImportError('libX.so: not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    asked = ("--model", model, "--device", "cpu", "--runtime", library)
    told = f"{library} is installed but cannot be loaded (libX.so: not found)"
    answer = snet4("doctor", *asked)
    assert answer.code == 4
    assert told in answer.out
    answer = snet4("run", folder / "scene.tif", "-o", folder / "o.gpkg", "--off-nadir", 9, *asked)
    assert answer.code == 4
    assert told in answer.err
    assert snet4("models", "export", model, "-o", tmp_path / "e.safetensors").code == 4


def test_doctor_finds_a_damaged_model(snet4: Call, model: Path, tmp_path: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-5] ^= 64
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(content)
    answer = snet4("doctor", "--model", damaged, "--device", "cpu")
    assert answer.code == 4
    assert "do not match their checksum" in answer.out
    assert snet4("doctor", "--model", tmp_path / "none.safetensors").code == 4
    assert snet4("doctor", "--model", model, "--device", "cpu").code == 0


def test_little_memory_leaves_the_footprints_alone(snet4: Call, folder: Path, model: Path) -> None:
    common = ["run", folder / "scene.tif", "--off-nadir", 30, "--model", model]
    common += ["--threshold", 0.45, "--min-area", 1]
    assert snet4(*common, "-o", folder / "a.gpkg").code == 0
    assert snet4(*common, "-o", folder / "b.gpkg", "--memory", "1M").code == 0
    assert (folder / "a.gpkg").read_bytes() == (folder / "b.gpkg").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--memory", "lots"], 2, "2G"),
        (["--runtime", "abacus"], 2, "abacus"),
        (["--runtime", "openvino"], 4, "models export"),
        (["--runtime", "openvino", "--device", "cuda"], 4, "--runtime torch"),
    ],
)
def test_an_engine_that_cannot_be_is_said(
    snet4: Call, folder: Path, model: Path, options: list[str], code: int, said: str
) -> None:
    answer = snet4(
        "run", folder / "scene.tif", "-o", folder / "o.gpkg", "--off-nadir", 3,
        "--model", model, *options,
    )  # fmt: skip
    assert answer.code == code
    assert said in answer.err
    assert left_behind(folder) == set()


def test_a_model_is_exported_and_then_computed_by_openvino(
    snet4: Call, folder: Path, model: Path
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    copy, other = folder / "mine.safetensors", folder / "other.safetensors"
    copy.write_bytes(model.read_bytes())
    shown = json.loads(snet4("models", "show", copy, "--json").out)
    assert shown.pop("engines") == ["torch"]
    answer = snet4("models", "export", copy)
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"{copy}: ")
    again = json.loads(snet4("models", "show", copy, "--json").out)
    assert again.pop("engines") == ["torch", "openvino"]
    assert again == shown
    assert snet4("models", "export", copy, "-o", other).code == 0
    assert snet4("models", "export", copy, "-o", other).code == 6  # it is there already
    export_apart(copy, folder / "mine.openvino.safetensors")
    assert "not needed any more" in snet4("models", "export", copy).out
    facts = json.loads(snet4("doctor", "--model", copy, "--device", "cpu", "--json").out)["runtime"]
    assert facts["engine"] == "openvino"
    assert facts["why"]
    layers = []
    for name in ("mine.safetensors", "mine.openvino.safetensors"):
        layers.append(folder / f"{name}.gpkg")
        answer = snet4(
            "run", folder / "scene.tif", "-o", layers[-1], "--off-nadir", 30,
            "--model", folder / name, "--runtime", "openvino", "--precision", "fp32",
        )  # fmt: skip
        assert answer.code == 0, answer.err
    scored = snet4("score", *layers, "--json")
    assert json.loads(scored.out)["total"]["f1"] == pytest.approx(1.0)


def test_weights_from_elsewhere_are_imported(snet4: Call, folder: Path, model: Path) -> None:
    net, card = weights.load(model)
    torch.save(net.state_dict(), folder / "net.pt")
    answer = snet4(
        "models", "import", folder / "net.pt", "-o", folder / "o.safetensors",
        "--encoder", "resnet18", "--decoder-channels", "16,16,8",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    again, other = weights.load(folder / "o.safetensors")
    assert weights.digest_of(again.state_dict()) == weights.digest_of(net.state_dict())
    assert other.architecture == card.architecture


def test_models_show_prints_the_card(snet4: Call, model: Path) -> None:
    card = json.loads(snet4("models", "show", model, "--json").out)
    assert card["architecture"]["encoder"] == "resnet18"
    assert len(card["sha256"]) == 64


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(snet4: Call, name: str) -> None:
    answer = snet4(name, "--help")
    assert answer.code == 0
    assert answer.out.startswith("Usage: snet4")
