"""Every option of the network is a recipe key, and trains."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.training import bright_squares, small_recipe
from snet4_training.chips.batches import Steps
from snet4_training.loop.loop import start, step_once, train
from snet4_training.loop.start import load_encoder, widened
from snet4_training.pictures.picture import VISIBLE
from snet4_training.recipe_file import read_recipe
from snet4core.errors import InputError, ModelError, UsageError
from snet4core.look.look import Look
from snet4core.model import weights
from snet4core.model.card import FIVE_HEADS, FIVE_MAPS, ONE_HEAD, THREE_HEADS, Architecture, Card
from snet4core.model.network import OffNadirNet

CPU = torch.device("cpu")

SCSE = ["model.attention=scse", "model.decoder_channels=[16, 16, 16, 16, 16]"]

ENCODERS = (
    "resnet18", "resnet34", "resnext101_32x8d", "se_resnext50_32x4d", "efficientnet-b0",
    "mobilenet_v2", "tu-regnetx_004",
)  # fmt: skip


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoders_by_name_give_maps_of_the_pictures_size(tmp_path: Path, encoder: str) -> None:
    """Built without memory: what counts is that shapes and names fit together."""
    recipe = small_recipe(tmp_path, [f"model.encoder={encoder}", *SCSE])
    with torch.device("meta"):
        net = OffNadirNet(recipe.model.architecture())
        logits = net(torch.zeros(2, 4, 64, 64), torch.zeros(2, 5), "nadir")
    assert logits.shape == (2, 2, 64, 64)


HALVED = ["model.maps_stride_px=2", "model.decoder_channels=[16, 8, 8, 8]"]


@pytest.mark.parametrize(
    "changes",
    [
        ['model.heads=["any"]'],
        [f"model.heads={list(FIVE_HEADS)}"],
        ["model.shared_decoder=true"],
        ["model.hears_look=false"],
        ["model.sweeps_lean=true"],
        ["model.sweeps_lean=true", "model.swept_stride_px=2"],
        HALVED,
        [*HALVED, "model.subpixel_maps=true"],
        ["model.estimates_look=true"],
        [f"model.maps={list(FIVE_MAPS)}", "model.sweeps_lean=true", "model.heights_apart=true"],
        SCSE,
    ],
)
def test_every_option_trains_and_is_on_the_card(tmp_path: Path, changes: list[str]) -> None:
    recipe = small_recipe(tmp_path, [*changes, "train.steps=1", "data.validation_chips=1"])
    net, card = weights.load(train(recipe, bright_squares(tmp_path / "run")))
    assert card.architecture == recipe.model.architecture() != Architecture()
    assert tuple(net.heads) == recipe.model.heads


@pytest.mark.parametrize(
    ("heads", "shared"),
    list(itertools.product((ONE_HEAD, THREE_HEADS, FIVE_HEADS), (True, False))),
)
def test_a_step_teaches_each_head_that_had_a_chip_and_no_other(
    tmp_path: Path, heads: tuple[str, ...], shared: bool
) -> None:
    changes = [f"model.heads={list(heads)}", f"model.shared_decoder={str(shared).lower()}"]
    recipe = small_recipe(tmp_path, changes)
    state = start(recipe, CPU)
    state.net.train()
    architecture = recipe.model.architecture()
    batch = Steps(recipe, bright_squares(tmp_path / "run") / "chips")[0]
    step_once(state, [batch], recipe.train, architecture)
    taught = {
        name.split(".")[1]
        for name, value in state.net.named_parameters()
        if name.startswith("heads.") and value.grad is not None
    }
    assert taught == {architecture.head_for(look) for look in batch.looks}


def test_without_looks_the_network_does_not_hear_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = small_recipe(tmp_path, ["model.hears_look=false"])
    net = OffNadirNet(recipe.model.architecture()).eval()
    images = torch.randn(1, 4, 64, 64)
    with torch.inference_mode():
        one, other = (net(images, torch.full((1, 5), v), "nadir") for v in (0.0, 1.0))
    assert torch.equal(one, other)


def test_attention_over_too_few_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="16 or more"):
        small_recipe(tmp_path, ["model.attention=scse"])


@pytest.mark.parametrize("change", ['model.heads=["nadir"]', "model.attention=cbam"])
def test_networks_that_do_not_exist_are_refused_with_the_recipe(
    tmp_path: Path, change: str
) -> None:
    with pytest.raises(ModelError):
        small_recipe(tmp_path, [change])


def colour_encoder(name: str = "resnet18") -> OffNadirNet:
    """A network for colour pictures, whose encoder's weights serve as pretrained ones."""
    torch.manual_seed(3)
    return OffNadirNet(Architecture(name, bands=VISIBLE, heads=ONE_HEAD))


@pytest.mark.parametrize("encoder", ["resnet18", "tu-regnetx_004"])
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_pretrained_weights_are_kept_and_the_first_layer_grows(
    tmp_path: Path, encoder: str, ending: str
) -> None:
    colour = colour_encoder(encoder).encoder.eval()
    file = tmp_path / f"w.{ending}"
    tensors = {k.removeprefix("model."): v.contiguous() for k, v in colour.state_dict().items()}
    tensors["fc.weight"] = torch.zeros(3, 3)  # a classifier, of no use here
    save_file(tensors, file) if ending == "safetensors" else torch.save(tensors, file)
    recipe = small_recipe(tmp_path, [f"model.encoder={encoder}", f"model.pretrained={file}"])
    grown = start(recipe, CPU).net.encoder.eval()  # type: ignore[union-attr,operator]
    ours, theirs = grown.state_dict(), colour.state_dict()
    changed = [name for name in theirs if not torch.equal(ours[name], theirs[name])]
    assert len(changed) == 1
    assert ours[changed[0]].shape[1] == 4
    assert torch.allclose(ours[changed[0]], widened(theirs[changed[0]], recipe.model.bands))
    # A grey picture without infrared gives three quarters of what colours gave: the same picture.
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        same = grown(grey.expand(1, 4, 64, 64))[1]
        then = colour(grey.expand(1, 3, 64, 64))[1]
    torch.testing.assert_close(same, then, atol=1e-4, rtol=1e-4)


def test_bands_in_another_order_see_the_same_picture() -> None:
    colour = torch.randn(5, 3, 3, 3)
    assert torch.equal(widened(colour, VISIBLE), colour)
    assert torch.equal(widened(colour, ("blue", "green", "red")), colour.flip(1))
    assert torch.allclose(widened(colour, ("pan",))[:, 0], colour.sum(1), atol=1e-6)


def test_pretrained_weights_that_are_not_there_are_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"imagenet is no file; .* nothing is fetched"):
        start(small_recipe(tmp_path, ["model.pretrained=imagenet"]), CPU)


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save(colour_encoder("mobilenet_v2").encoder.state_dict(), file)
    with pytest.raises(InputError, match="not the weights of the encoder resnet18"):
        load_encoder(colour_encoder(), file)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match="cannot be read"):
            load_encoder(colour_encoder(), tmp_path / name)


def test_any_number_of_bands_trains(tmp_path: Path) -> None:
    path = tmp_path / "pan.toml"
    path.write_text('[model]\nencoder = "resnet18"\nbands = ["pan"]\ndecoder_channels = [16, 8]\n')
    net = OffNadirNet(read_recipe(path).model.architecture())
    net(torch.randn(2, 1, 32, 32), torch.zeros(2, 5), "nadir").sum().backward()
    assert next(net.encoder.parameters()).grad is not None


def test_a_model_is_gone_on_from_by_name(tmp_path: Path) -> None:
    """The old network's answer is the new one's, until it is trained on."""
    old = OffNadirNet(small_recipe(tmp_path, HALVED).model.architecture()).eval()
    path = tmp_path / "old.safetensors"
    weights.save(path, old, Card(name="old", architecture=old.architecture), half=False)
    added = ["sweeps_lean=true", "swept_stride_px=2", "subpixel_maps=true", "estimates_look=true"]
    changes = [f"model.start_from={path}", *(f"model.{each}" for each in added)]
    recipe = small_recipe(tmp_path, [*HALVED, *changes])
    new = start(recipe, CPU).net.eval()
    images, looks = torch.randn(1, 4, 64, 64), torch.tensor([Look(45, 0.0, "option").features()])
    with torch.inference_mode():
        for head in old.architecture.heads:
            torch.testing.assert_close(new(images, looks, head), old(images, looks, head))


def test_shared_and_separate_decoders_go_on_from_each_other(tmp_path: Path) -> None:
    apart = OffNadirNet(small_recipe(tmp_path).model.architecture()).eval()
    path = tmp_path / "apart.safetensors"
    weights.save(path, apart, Card(name="apart", architecture=apart.architecture), half=False)
    shared_recipe = small_recipe(
        tmp_path, [f"model.start_from={path}", "model.shared_decoder=true"]
    )
    shared = start(shared_recipe, CPU).net.eval()
    images, looks = torch.randn(1, 4, 64, 64), torch.zeros(1, 5)
    with torch.inference_mode():
        wanted = apart(images, looks, "off-nadir")
        for head in shared.architecture.heads:
            torch.testing.assert_close(shared(images, looks, head), wanted)
    path = tmp_path / "shared.safetensors"
    weights.save(path, shared, Card(name="shared", architecture=shared.architecture), half=False)
    five = ["model.heads=" + str(list(FIVE_HEADS))]
    again = start(small_recipe(tmp_path, [f"model.start_from={path}", *five]), CPU).net.eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(images, looks, "very-off-nadir-south"), wanted)


def test_another_encoder_is_not_gone_on_from(tmp_path: Path) -> None:
    old = OffNadirNet(small_recipe(tmp_path).model.architecture())
    path = tmp_path / "old.safetensors"
    weights.save(path, old, Card(name="old", architecture=old.architecture))
    recipe = small_recipe(tmp_path, [f"model.start_from={path}", 'model.bands=["red", "nir"]'])
    with pytest.raises(ModelError, match=r"old.safetensors: it has bands .*, the recipe"):
        start(recipe, CPU)


@pytest.mark.parametrize("detailed", [False, True])
def test_maps_of_roofs_begin_as_the_footprints_of_a_model_without_them(
    tmp_path: Path, detailed: bool
) -> None:
    changes = [*HALVED, f"model.subpixel_maps={str(detailed).lower()}"]
    old = OffNadirNet(small_recipe(tmp_path, changes).model.architecture()).eval()
    if detailed:  # or they would be zero at the start
        for part in old.details.values():
            torch.nn.init.normal_(part.weight, std=0.1)  # type: ignore[arg-type]
    path = tmp_path / "old.safetensors"
    weights.save(path, old, Card(name="old", architecture=old.architecture), half=False)
    five = f"model.maps={list(FIVE_MAPS)}".replace("'", '"')
    recipe = small_recipe(tmp_path, [*changes, five, f"model.start_from={path}"])
    new = start(recipe, CPU).net.eval()
    images, looks = torch.randn(1, 4, 64, 64), torch.zeros(1, 5)
    with torch.inference_mode():
        wanted = old(images, looks, "nadir")
        given = new(images, looks, "nadir")
    torch.testing.assert_close(given[:, :2], wanted)
    torch.testing.assert_close(given[:, 2:4], wanted)
    assert not given[:, 4].any()
