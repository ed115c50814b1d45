"""Weights from elsewhere become a model, or are refused; nothing in them is executed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import segmentation_models_pytorch as smp  # noqa: E402  # after the skip

from snet4core.errors import ModelError, OutputError, UsageError  # noqa: E402  # after the skips
from snet4core.look.look import Look  # noqa: E402  # after the skips
from snet4core.maps.predictor import Predictor  # noqa: E402  # after the skips
from snet4core.maps.runtime import choose_runtime  # noqa: E402  # after the skips
from snet4core.model import exporter, importer, weights  # noqa: E402  # after the skips
from snet4core.model.card import THREE_HEADS, Architecture  # noqa: E402  # after the skips
from snet4core.model.network import OffNadirNet  # noqa: E402  # after the skips

CHANNELS = ("16", "16", "8")
THREE = importer.architecture_of("resnet18", ("red", "green", "blue"), 3, CHANNELS, None)
ONE = importer.architecture_of("resnet18", ("red", "green", "blue"), 1, CHANNELS, None)


def unet(classes: int) -> smp.Unet:
    torch.manual_seed(11)
    return smp.Unet(
        "resnet18", encoder_depth=3, encoder_weights=None, decoder_channels=(16, 16, 8),
        in_channels=3, classes=classes,
    ).eval()  # fmt: skip


def logits(net: torch.nn.Module, *more: object) -> torch.Tensor:
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found: torch.Tensor = net(images, *more)
    return found


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
    ],
)
def test_a_unet_of_six_maps_becomes_three_heads(tmp_path: Path, wrap) -> None:  # type: ignore[no-untyped-def]  # parametrised
    theirs = unet(6)
    torch.save(wrap(theirs.state_dict()), tmp_path / "unet.pt")
    importer.import_state(tmp_path / "unet.pt", tmp_path / "ours.safetensors", THREE, "ours")
    net, card = weights.load(tmp_path / "ours.safetensors")
    assert card.name == "ours"
    assert card.architecture.heads == THREE_HEADS
    for index, head in enumerate(THREE_HEADS):
        ours = logits(net, torch.zeros(1, 5), head)
        torch.testing.assert_close(ours, logits(theirs)[:, 2 * index : 2 * index + 2])


def test_a_footprint_alone_gets_a_border_of_nothing(tmp_path: Path) -> None:
    theirs = unet(1)
    torch.save(theirs.state_dict(), tmp_path / "unet.pt")
    importer.import_state(tmp_path / "unet.pt", tmp_path / "ours.safetensors", ONE, "ours")
    predictor = Predictor(tmp_path / "ours.safetensors", choose_runtime("cpu", "fp32"))
    images = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    maps = predictor._network.forward(images, Look(30.0, None, "option"), "any")
    with torch.inference_mode():
        expected = torch.sigmoid(theirs(torch.from_numpy(images)))[0, 0].numpy() * 255
    assert np.abs(maps[0, 0] - expected).max() <= 1
    assert not maps[0, 1].any()


def test_our_own_names_are_understood(tmp_path: Path) -> None:
    architecture = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8))
    torch.manual_seed(3)
    net = OffNadirNet(architecture).eval()
    torch.save({"ema": net.state_dict()}, tmp_path / "checkpoint.pt")
    digest = importer.import_state(
        tmp_path / "checkpoint.pt", tmp_path / "ours.safetensors", architecture, "ours"
    )
    again, _ = weights.load(tmp_path / "ours.safetensors")
    assert digest == weights.digest_of(net.state_dict()) == weights.digest_of(again.state_dict())


@pytest.mark.parametrize(
    ("classes", "architecture", "said"),
    [
        (6, ONE, "gives 6 maps"),
        (4, THREE, "gives 4 maps"),
        (6, importer.architecture_of("resnet34", ("r", "g", "b"), 3, CHANNELS, None), "--encoder"),
        (6, importer.architecture_of("resnet18", ("r", "g"), 3, CHANNELS, None), "--bands"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, classes: int, architecture: Architecture, said: str
) -> None:
    torch.save(unet(classes).state_dict(), tmp_path / "unet.pt")
    with pytest.raises(ModelError, match=said):
        importer.import_state(tmp_path / "unet.pt", tmp_path / "o.safetensors", architecture, "o")
    assert not (tmp_path / "o.safetensors").exists()


class Trap:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("make", ["code", "network", "text", "empty", "nothing", "numbers"])
def test_what_is_no_state_dict_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "weights.pt"
    if make == "code":
        torch.save({"state_dict": Trap()}, file)
    if make == "network":
        torch.save(unet(1), file)
    if make == "text":
        file.write_text("<html></html>")
    if make == "empty":
        file.write_bytes(b"")
    if make == "numbers":
        torch.save([1, 2, 3], file)
    with pytest.raises(ModelError, match=r"weights\.pt"):
        importer.import_state(file, tmp_path / "o.safetensors", ONE, "o")
    assert not (tmp_path / "trapped").exists()


def test_a_model_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    torch.save(unet(1).state_dict(), tmp_path / "unet.pt")
    (tmp_path / "o.safetensors").write_text("mine")
    with pytest.raises(OutputError, match="overwrite"):
        importer.import_state(tmp_path / "unet.pt", tmp_path / "o.safetensors", ONE, "o")
    assert (tmp_path / "o.safetensors").read_text() == "mine"


@pytest.mark.parametrize("name", ["o.pth", "o.pt", "default", "o.safetensors.bak"])
def test_a_name_under_which_no_model_is_found_is_refused_before_any_work(
    tmp_path: Path, name: str
) -> None:
    """`--model` takes a `.pth` for a pickle, and `default` for the shipped model."""
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        importer.import_state(tmp_path / "missing.pt", tmp_path / name, ONE, "o")
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        exporter.export(tmp_path / "missing.safetensors", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bands", "channels"), [(("red", "red"), CHANNELS), (("",), CHANNELS), (("red",), ("many",))]
)
def test_an_architecture_that_makes_no_sense_is_a_usage_error(
    bands: tuple[str, ...], channels: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="--"):
        importer.architecture_of("resnet18", bands, 1, channels, None)
