"""The network, its file and its windows: what a map may and may not depend on."""

from __future__ import annotations

import copy
import errno
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402  # after the skip
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoderBlock  # noqa: E402  # needs torch
from torch import nn  # noqa: E402  # needs torch

from helpers.networks import (  # noqa: E402  # after the skips
    CARD,
    NORTH_30,
    SMALL,
    WITH_HEIGHTS,
    listening_net,
    pixels,
    reader,
    whole_map,
)
from snet4core.errors import EngineError, ModelError, OutputError  # noqa: E402  # after the skips
from snet4core.look.look import CATEGORIES, Look  # noqa: E402  # after the skips
from snet4core.maps.maps import Maps  # noqa: E402  # after the skips
from snet4core.maps.predictor import Picture, Predictor  # noqa: E402  # after the skips
from snet4core.maps.runtime import DeviceMemoryError, choose_runtime  # noqa: E402  # after the skips
from snet4core.maps.torch_network import TorchNetwork  # noqa: E402  # after the skips
from snet4core.model import weights  # noqa: E402  # after the skips
from snet4core.model.card import FIVE_HEADS, ONE_HEAD, Architecture  # noqa: E402  # after the skips
from snet4core.model.header import find_model, read_header, write_metadata  # noqa: E402  # after the skips
from snet4core.model.look_layers import (  # noqa: E402  # after the skips
    SWEPT_FROM,
    SWEPT_HEIGHTS_PX,
    LeanSweep,
    lean_of,
    sample_by_grid,
    sample_by_shift,
)
from snet4core.model.network import FINE_LEVEL, OffNadirNet  # noqa: E402  # after the skips
from snet4core.model.topology import Topology  # noqa: E402  # after the skips
from snet4core.model.upsampling import FusedUpsampleBlock, upsampling_kernel  # noqa: E402  # after the skips
from snet4core.windows import Tile  # noqa: E402  # after the skips


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    weights.save(path, listening_net(), CARD, half=False)
    return path


def footprint_map(model: Path, look: Look, batch: int | None = None) -> NDArray[np.uint8]:
    """The whole footprint map of one random picture of 150 x 100 pixels, in two lanes."""
    return whole_map(Predictor(model, choose_runtime("cpu", "fp32", threads=2), batch), look)


def test_a_model_read_back_gives_the_same_logits(model: Path) -> None:
    net, card = weights.load(model)
    images, looks = torch.zeros(1, 4, 64, 64) + 0.5, torch.tensor([NORTH_30.features()])
    assert card == CARD
    with torch.inference_mode():
        assert torch.equal(
            net(images, looks, "off-nadir"), listening_net()(images, looks, "off-nadir")
        )


@pytest.mark.parametrize(
    "architecture", [SMALL, WITH_HEIGHTS, replace(WITH_HEIGHTS, shared_decoder=True)]
)
def test_a_mixed_batch_gives_each_sample_its_own_head(architecture: Architecture) -> None:
    net = listening_net(architecture)
    images, looks = torch.randn(4, 4, 32, 32), torch.randn(4, 5)
    heads = ["nadir", "very-off-nadir", "nadir", "off-nadir"]
    with torch.inference_mode():
        mixed = net.mixed(net.encoder(images), looks, heads)
        for index, head in enumerate(heads):
            alone = net(images[index : index + 1], looks[index : index + 1], head)
            torch.testing.assert_close(mixed[index : index + 1], alone, atol=1e-5, rtol=1e-5)


def test_only_the_head_that_answers_is_trained() -> None:
    net = listening_net().train()
    net(torch.randn(2, 4, 32, 32), torch.randn(2, 5), "nadir").sum().backward()
    assert net.heads["nadir"].weight.grad is not None
    assert net.heads["off-nadir"].weight.grad is None


@pytest.mark.parametrize("heads", [ONE_HEAD, FIVE_HEADS])
@pytest.mark.parametrize("shared", [True, False])
def test_heads_and_decoders_can_be_shared_or_not(heads: tuple[str, ...], shared: bool) -> None:
    net = OffNadirNet(replace(SMALL, heads=heads, shared_decoder=shared))
    assert len(net.branches) == (1 if shared else len(heads))
    assert len(net.heads) == len(heads)


@pytest.mark.parametrize("encoder", ["tu-regnetx_004", "efficientnet-b0", "se_resnext50_32x4d"])
def test_encoders_by_name_take_any_number_of_bands(encoder: str) -> None:
    architecture = Architecture(encoder, bands=("pan", "nir"), attention="scse")
    logits = OffNadirNet(architecture)(torch.zeros(2, 2, 32, 32), torch.zeros(2, 5), "nadir")
    assert logits.shape == (2, 2, 32, 32)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ModelError, match="nosuchnet"):
        OffNadirNet(replace(SMALL, encoder="nosuchnet"))


def test_another_category_is_another_head_and_another_map(model: Path) -> None:
    by_angle = [footprint_map(model, Look(angle, 20.0, "option")) for angle in (25.0, 26.0, 41.0)]
    assert not np.array_equal(by_angle[0], by_angle[1])
    assert not np.array_equal(by_angle[1], by_angle[2])


def test_the_angle_and_the_azimuth_are_heard_within_one_category(model: Path) -> None:
    at_30 = footprint_map(model, NORTH_30)
    assert not np.array_equal(at_30, footprint_map(model, replace(NORTH_30, off_nadir_deg=39.0)))
    assert not np.array_equal(at_30, footprint_map(model, replace(NORTH_30, azimuth_deg=200.0)))


def test_an_unknown_azimuth_is_legal(model: Path) -> None:
    unknown = footprint_map(model, replace(NORTH_30, azimuth_deg=None))
    assert not np.array_equal(unknown, footprint_map(model, replace(NORTH_30, azimuth_deg=0.0)))


@pytest.mark.parametrize("batch", [2, 3, 64])
def test_the_batch_plays_no_part(model: Path, batch: int) -> None:
    assert np.array_equal(footprint_map(model, NORTH_30), footprint_map(model, NORTH_30, batch))


def test_windows_cover_the_map_once(model: Path) -> None:
    predictor = Predictor(model, choose_runtime("cpu", "fp32"))
    counted = np.zeros((150, 100), dtype=int)
    for tile in predictor.tiles((150, 100)):
        counted[tile.own.slices()] += 1
    assert (counted == 1).all()


def test_each_window_is_told_before_it_is_handed_out(model: Path) -> None:
    told: list[Maps] = []
    predictor = Predictor(model, choose_runtime("cpu", "fp32"), on_maps=told.append)
    for count, maps in enumerate(predictor.maps(reader(pixels(70, 100)), (70, 100), NORTH_30), 1):
        assert len(told) == count
        assert told[-1] is maps
    assert len(told) == len(predictor.tiles((70, 100)))


def test_nothing_valid_asks_no_network(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(model, choose_runtime("cpu", "fp32"))
    monkeypatch.setattr(TorchNetwork, "forward", lambda *_: pytest.fail("the network was asked"))

    def nothing(tile: Tile) -> Picture:
        shape = tile.read.shape
        return np.zeros((4, *shape), np.float32), np.zeros(shape, np.bool_)

    for maps in predictor.maps(nothing, (70, 70), NORTH_30):
        assert not maps.footprint_HW.any()
        assert not maps.valid_HW.any()


def test_memory_that_runs_out_halves_the_batch(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = (400, 64)  # windows of one size, which go into one batch
    predictor = Predictor(model, choose_runtime("cpu", "fp32"), batch=4)
    expected = whole_map(predictor, NORTH_30, column)
    real, asked = TorchNetwork.forward, []

    def small_memory(self: TorchNetwork, images: NDArray[np.float32], look: Look, head: str):  # type: ignore[no-untyped-def]
        asked.append(len(images))
        if len(images) > 1:
            raise DeviceMemoryError("no")
        return real(self, images, look, head)

    monkeypatch.setattr(TorchNetwork, "forward", small_memory)
    # As on a GPU, where windows of a batch go in together.
    predictor.runtime = replace(predictor.runtime, device="cuda:0")
    assert np.array_equal(whole_map(predictor, NORTH_30, column), expected)
    assert max(asked) > 1
    assert predictor.batch == 1


def test_memory_that_does_not_hold_one_window_is_said(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise DeviceMemoryError("no")

    monkeypatch.setattr(TorchNetwork, "forward", no_memory)
    with pytest.raises(EngineError, match="does not hold one window"):
        footprint_map(model, NORTH_30)


def test_a_reading_error_reaches_the_caller(model: Path) -> None:
    def broken(tile: Tile) -> Picture:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(Predictor(model, choose_runtime("cpu", "fp32")).maps(broken, (70, 70), NORTH_30))


# The one door for model files.


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        find_model("nowhere.safetensors")
    with pytest.raises(ModelError, match="no such model file"):
        find_model("n" * 300)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "seed.pt"
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ModelError, match="can run code"):
        read_header(path)


def test_a_renamed_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed.safetensors"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="not a readable"):
        weights.load(path)


def test_safetensors_of_somebody_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="not a model of snet4"):
        weights.load(path)


def rewritten(model: Path, path: Path, change: str) -> Path:
    """The model again with one thing wrong; the checksum is right unless it is the thing."""
    tensors = load_file(model)
    header = read_header(model)
    name = "encoder.conv1.weight"
    digest = header.digest
    if change == "bit":
        tensors[name].view(-1)[0] += 1
    if change == "nan":
        tensors[name].view(-1)[0] = float("nan")
    if change == "shape":
        tensors[name] = tensors[name].flatten()
    if change == "missing":
        del tensors[name]
    if change != "bit":
        digest = weights.digest_of(tensors)
    save_file(tensors, path, metadata=write_metadata(header.card, digest))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [("bit", "checksum"), ("nan", "NaN"), ("shape", "another network"), ("missing", "another")],
)
def test_damaged_weights_are_refused(model: Path, tmp_path: Path, change: str, said: str) -> None:
    path = rewritten(model, tmp_path / "damaged.safetensors", change)
    with pytest.raises(ModelError, match=said) as caught:
        weights.load(path)
    assert str(path) in str(caught.value)


def test_a_network_with_nan_is_not_saved(tmp_path: Path) -> None:
    net = listening_net()
    with torch.no_grad():
        net.heads["nadir"].weight[:] = float("nan")
    with pytest.raises(ModelError, match="NaN"):
        weights.save(tmp_path / "nan.safetensors", net, CARD)
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.safetensors"
    path.write_bytes(b"old")

    def half(file: Path, content: bytes) -> None:
        with file.open("wb") as opened:
            opened.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutputError, match="no space left"):
        weights.save(path, listening_net(), CARD)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_others_may_read_a_model_as_the_umask_has_it(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    wanted = (tmp_path / "plain").stat().st_mode
    path = tmp_path / "model.safetensors"
    weights.save(path, listening_net(), CARD)
    assert path.stat().st_mode == wanted
    weights.add_topology(path, Topology(b"", (), b""), path, overwrite=True)
    assert path.stat().st_mode == wanted


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    weights.save(tmp_path / "full.safetensors", listening_net(), CARD, half=False)
    weights.save(tmp_path / "half.safetensors", listening_net(), CARD)
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.51 * full


def test_the_same_network_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        weights.save(tmp_path / name, listening_net(), CARD)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_category_has_a_head() -> None:
    assert set(CATEGORIES) == set(listening_net().heads)


def test_a_sweep_samples_where_the_look_displaces_roofs_to() -> None:
    """A roof at (row 20, column 12), 10 px high, belongs to the ground 10 px south of it."""
    level = torch.zeros(1, 1, 48, 48)
    level[0, 0, 20, 12] = 1.0
    lean = lean_of(torch.tensor([Look(45.0, 0.0, "option").features()]))
    seen = sample_by_grid(level, lean)[0]
    for index, height_px in enumerate(SWEPT_HEIGHTS_PX):
        if (ground := 20 + int(height_px)) < 48:
            assert seen[index, ground, 12] == pytest.approx(1.0, abs=1e-3)
        assert float(seen[index].sum()) == pytest.approx(float(ground < 48), abs=1e-3)


@pytest.mark.parametrize("off_nadir_deg", [0.0, 20.0, 53.5])
@pytest.mark.parametrize("azimuth_deg", [None, 0.0, 77.0, 90.0, 200.0, 315.0])
def test_moving_rows_and_columns_samples_the_same(
    off_nadir_deg: float, azimuth_deg: float | None
) -> None:
    level = torch.from_numpy(np.random.default_rng(4).standard_normal((2, 3, 40, 28), np.float32))
    look = torch.tensor([Look(off_nadir_deg, azimuth_deg, "option").features()] * 2)
    seen, moved = (way(level, lean_of(look)) for way in (sample_by_grid, sample_by_shift))
    torch.testing.assert_close(moved, seen, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("azimuth_deg", "right_down"), [(0, (0, -1)), (90, (1, 0)), (180, (0, 1)), (None, (0, 0))]
)
def test_roofs_lean_towards_the_azimuth(
    azimuth_deg: float | None, right_down: tuple[float, float]
) -> None:
    lean = lean_of(torch.tensor([Look(45.0, azimuth_deg, "option").features()]))
    torch.testing.assert_close(lean, torch.tensor([right_down], dtype=torch.float32))


def test_a_sweep_starts_as_the_identity_and_then_hears_the_azimuth() -> None:
    sweeping = replace(SMALL, sweeps_lean=True)
    images = torch.from_numpy(pixels(64, 64))[None]
    north, south = (torch.tensor([Look(40, a, "option").features()]) for a in (0.0, 180.0))
    fresh = OffNadirNet(sweeping).eval()
    listening = listening_net(sweeping)
    listening.branches["off-nadir"].gate = None
    with torch.inference_mode():
        assert torch.equal(fresh(images, north, "off-nadir"), fresh(images, south, "off-nadir"))
        north_map = listening(images, north, "off-nadir")
        assert not torch.allclose(north_map, listening(images, south, "off-nadir"), atol=1e-3)


def test_a_sweep_needs_a_look() -> None:
    with pytest.raises(ModelError, match="has to hear the look"):
        replace(SMALL, sweeps_lean=True, hears_look=False)


@pytest.mark.parametrize("level", [FINE_LEVEL, SWEPT_FROM])
def test_each_level_can_be_swept_alone(level: int) -> None:
    """Fine features are moved by as many metres as coarse ones: twice the pixels per level."""
    sweep = LeanSweep([1], level, (8.0,), 1)
    with torch.no_grad():
        for layer in (sweep.narrow[0], sweep.widen[0]):
            layer.weight.fill_(1.0)
            layer.bias.zero_()
    feature = torch.zeros(1, 1, 32, 32)
    feature[0, 0, 8, 16] = 100.0
    north = torch.tensor([Look(45.0, 0.0, "option").features()])
    with torch.inference_mode():
        moved = sweep([feature], north)[0] - feature
    row, col = divmod(int(moved.argmax()), 32)
    assert (row, col) == (8 + 8 // 2**level, 16)


def test_details_are_maps_of_every_pixel() -> None:
    """Interpolation alone cannot tell the four pixels of a decoded one apart as these do."""
    halved = replace(SMALL, maps_stride_px=2, decoder_channels=(16, 8, 8, 8))
    torch.manual_seed(1)
    smooth, sharp = (OffNadirNet(replace(halved, subpixel_maps=on)).eval() for on in (False, True))
    sharp.load_state_dict(smooth.state_dict(), strict=False)
    images = torch.from_numpy(pixels(64, 64))[None]
    look = torch.tensor([Look(40, 0.0, "option").features()])
    with torch.inference_mode():
        before = smooth(images, look, "off-nadir")
        # Two networks: on some processors their layers take other kernels, which add in
        # another order. A detail would be as large as the maps themselves.
        torch.testing.assert_close(sharp(images, look, "off-nadir"), before, atol=1e-5, rtol=1e-5)
        # The second map, top right of each four.
        sharp.details["off-nadir"].bias[4 + 1] = 7.0
        added = sharp(images, look, "off-nadir") - before
    wanted = torch.zeros_like(added)
    wanted[:, 1, 0::2, 1::2] = 7.0
    torch.testing.assert_close(added, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"subpixel_maps": True}, "nothing between them"),
        ({"swept_stride_px": 8}, "stride of 2 or 4"),
        ({"maps_stride_px": 3}, "use 1 or 2"),
    ],
)
def test_impossible_strides_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        replace(SMALL, **changes)


def test_a_guess_of_the_look_is_a_part_of_the_network_only_where_wanted() -> None:
    assert OffNadirNet(SMALL).look is None
    net = OffNadirNet(replace(SMALL, estimates_look=True))
    assert net.look is not None
    assert net.look(net.encoder(torch.zeros(2, 4, 64, 64))[-1]).shape == (2, 3)


def test_maps_of_every_second_pixel_have_the_pictures_size() -> None:
    coarse = replace(SMALL, maps_stride_px=2)
    assert coarse.stride_px == 2 * SMALL.stride_px
    net = listening_net(coarse)
    images, looks = torch.zeros(2, 4, 64, 96), torch.tensor([NORTH_30.features()] * 2)
    with torch.inference_mode():
        assert net(images, looks, "off-nadir").shape == (2, 2, 64, 96)
        assert net.mixed(net.encoder(images), looks, ["nadir", "off-nadir"]).shape == (2, 2, 64, 96)


# Doubling a map without making it.


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3)])
def test_a_doubled_map_need_not_be_made(height: int, width: int) -> None:
    torch.manual_seed(3)
    kernel = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    coarse = torch.randn(2, 4, height, width, dtype=torch.float64)
    doubled = nn.functional.interpolate(coarse, scale_factor=2, mode="nearest")
    plain = nn.functional.conv2d(doubled, kernel, padding=1)
    lean = nn.functional.conv_transpose2d(coarse, upsampling_kernel(kernel), stride=2, padding=1)
    torch.testing.assert_close(lean, plain)


@pytest.mark.parametrize("fine", [3, 0])
@pytest.mark.parametrize("sides", [(12, 6), (11, 5), (11, 6)])
def test_a_doubling_block_learns_and_answers_as_the_plain_one(
    fine: int, sides: tuple[int, int]
) -> None:
    torch.manual_seed(9)
    plain = UnetDecoderBlock(5, fine, 4).double()
    lean = FusedUpsampleBlock(copy.deepcopy(plain), 5)
    assert lean.state_dict().keys() == plain.state_dict().keys()  # older weights fit
    coarse = torch.randn(2, 5, 6, 3, dtype=torch.float64)
    skip = torch.randn(2, fine, *sides, dtype=torch.float64) if fine else None
    answers = [block(coarse, *sides, skip) for block in (plain, lean)]
    torch.testing.assert_close(answers[1], answers[0])
    for answer in answers:
        answer.square().sum().backward()
    for one, other in zip(plain.parameters(), lean.parameters(), strict=True):
        assert float(one.grad.abs().max()) > 0
        torch.testing.assert_close(other.grad, one.grad)
