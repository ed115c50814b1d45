"""One copy of the weights: torch and OpenVINO start from one file; nothing hostile is let in."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

torch = pytest.importorskip("torch", reason="torch is not installed")
openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

from torch import nn  # noqa: E402  # after the skips
from torch.nn.utils.fusion import fuse_conv_bn_weights  # noqa: E402  # after the skips

from snet4core.errors import ModelError, OutputError  # noqa: E402  # after the skips
from snet4core.look.look import Look  # noqa: E402  # after the skips
from snet4core.maps.predictor import Predictor  # noqa: E402  # after the skips
from snet4core.maps.runtime import choose_runtime  # noqa: E402  # after the skips
from snet4core.model import exporter, recipes, weights  # noqa: E402  # after the skips
from snet4core.model import graph as stored_graph  # noqa: E402  # after the skips
from snet4core.model.arrays import digest_of, read_arrays  # noqa: E402  # after the skips
from snet4core.model.card import FIVE_HEADS, FIVE_MAPS, ONE_HEAD, Architecture, Card, WindowSettings  # noqa: E402  # after the skips
from snet4core.model.exporter import Exported, export, export_apart  # noqa: E402  # after the skips
from snet4core.model.graph import read_graph  # noqa: E402  # after the skips
from snet4core.model.header import METADATA_KEY, find_model, graph_file, read_header, read_metadata  # noqa: E402  # after the skips
from snet4core.model.network import OffNadirNet  # noqa: E402  # after the skips
from snet4core.model.recipes import CoarseKernel, FineKernel, FoldedBias, FoldedKernel, Kept, Recipe  # noqa: E402  # after the skips
from snet4core.model.topology import LEAST_BYTES, MOST_BYTES, Topology, topology_of  # noqa: E402  # after the skips
from snet4core.model.upsampling import upsampling_kernel  # noqa: E402  # after the skips

SMALL = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8), heads=ONE_HEAD)
RICH = Architecture(
    encoder="tu-tf_efficientnet_lite0",
    heads=ONE_HEAD,
    maps=FIVE_MAPS,
    decoder_channels=(32, 16, 16, 8),
    maps_stride_px=2,
    subpixel_maps=True,
    sweeps_lean=True,
    swept_stride_px=2,
    estimates_look=True,
    heights_apart=True,
)
NORTH_30 = Look(30.0, 20.0, "option")


def saved(folder: Path, architecture: Architecture = SMALL, *, half: bool = True) -> Path:
    """A small model, random in everything that its graph is made from."""
    torch.manual_seed(7)
    net = OffNadirNet(architecture)
    for name, value in net.named_parameters():
        if any(part in name for part in (".gate.outer.", "widen.", "details.", "heights.height.")):
            nn.init.normal_(value, std=0.1)
        elif name.endswith("weight") and value.ndim == 1:
            nn.init.uniform_(value, 0.7, 1.3)
        elif name.endswith("bias"):
            nn.init.normal_(value, std=0.1)
    pictures = torch.randn(4, len(architecture.bands), 64, 64)
    looks = torch.tensor([NORTH_30.features()] * 4)
    with torch.no_grad():  # norms learn what they see: otherwise rounding grows from layer to layer
        for _ in range(8):
            for head in architecture.heads:
                net.train()(pictures, looks, head)
    path = folder / "model.safetensors"
    card = Card("small", architecture, windows=WindowSettings(core_px=64, halo_px=32))
    weights.save(path, net.eval(), card, half=half)
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights alone."""
    return saved(tmp_path_factory.mktemp("bare"), RICH)


@pytest.fixture(scope="module")
def model(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its topology."""
    path = tmp_path_factory.mktemp("one") / "model.safetensors"
    found = export(bare, path)
    assert found == Exported(path, False, len(topology(path).literals))
    return path


def topology(path: Path) -> Topology:
    return Topology.from_json(read_metadata(path)["topology"], read_header(path).digest)


def forward(path: Path, engine: str, side_px: int = 96) -> np.ndarray:
    predictor = Predictor(path, choose_runtime("cpu", "fp32", engine))  # type: ignore[arg-type]  # parametrised
    assert predictor.runtime.engine == engine
    architecture = predictor.card.architecture
    shape = (2, len(architecture.bands), side_px, side_px)
    images = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    head = architecture.head_for(NORTH_30)
    return predictor._network.forward(images, NORTH_30, head).astype(int)


# One file is as good as two.


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        RICH,
        replace(
            RICH,
            encoder="tu-tf_efficientnet_lite2",
            attention="scse",
            decoder_channels=(32, 16, 16, 16),
            subpixel_maps=False,
        ),
        replace(SMALL, encoder="tu-regnetx_002", heads=FIVE_HEADS, shared_decoder=True),
    ],
    ids=lambda architecture: architecture.encoder,
)
def test_the_graph_is_that_which_would_lie_beside(
    tmp_path: Path, architecture: Architecture
) -> None:
    half = architecture.heads == ONE_HEAD  # others are stored in full precision
    path, apart = saved(tmp_path, architecture, half=half), tmp_path / "apart.safetensors"
    before, tensors = read_header(path), load_file(path)
    export_apart(path, apart)
    found = export(path)
    assert found == Exported(path, False, found.unmatched_bytes)
    assert found.unmatched_bytes < 3000
    header = read_header(path)
    assert header == replace(before, has_topology=True)
    after = load_file(path)
    assert set(after) == set(tensors)
    assert all(np.array_equal(after[name], value) for name, value in tensors.items())
    one, other = read_graph(header), read_graph(read_header(apart))
    assert one.xml == other.xml
    assert np.array_equal(one.constants, other.constants)


def test_both_engines_start_from_it_and_give_the_same_maps(model: Path) -> None:
    for side_px in (96, 128):
        one, other = (forward(model, engine, side_px) for engine in ("torch", "openvino"))
        assert one.shape[1] == len(FIVE_MAPS)
        assert np.ptp(one) > 20  # the picture leaves a trace
        assert np.abs(one - other).max() <= 2
        assert (np.abs(one - other) > 1).mean() < 1e-3


def test_nothing_is_copied(model: Path, bare: Path) -> None:
    assert model.stat().st_size - bare.stat().st_size < 110_000
    assert graph_file(read_header(bare)) is None
    assert graph_file(read_header(model)) == model


def test_what_takes_weights_alone_takes_it_too(model: Path) -> None:
    net = OffNadirNet(RICH)
    with safe_open(model, framework="pt") as file:
        net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  # not a dict


def test_without_torch_it_is_computed_all_the_same(model: Path, tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules.update(dict.fromkeys(("torch", "segmentation_models_pytorch", "timm")))
from pathlib import Path
import numpy as np
from snet4core.look.look import Look
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
predictor = Predictor(Path({str(model)!r}), choose_runtime("cpu", "fp32"))
images = np.random.default_rng(3).standard_normal((2, 4, 96, 96)).astype(np.float32)
maps = predictor._network.forward(images, Look(30.0, 20.0, "option"), "any")
np.save({str(tmp_path / "maps.npy")!r}, maps)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "maps.npy"), forward(model, "openvino"))


def test_the_same_model_gives_the_same_file(model: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    shutil.copy(model, again)
    export(again)
    assert again.read_bytes() == model.read_bytes()


def test_another_file_is_not_replaced_unasked(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_text("mine")
    with pytest.raises(OutputError, match="overwrite"):
        export(model, target)
    with pytest.raises(OutputError, match="also an input"):
        export(model, model, overwrite=True)
    assert target.read_text() == "mine"
    export(model, target, overwrite=True)
    assert target.read_bytes() == model.read_bytes()


def test_weights_that_are_saved_again_lose_it(model: Path, tmp_path: Path) -> None:
    net, card = weights.load(model)
    weights.save(tmp_path / "next.safetensors", net, card)
    assert not read_header(tmp_path / "next.safetensors").has_topology


@pytest.mark.parametrize("given", [True, False])
def test_a_graph_that_does_not_follow_becomes_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    monkeypatch.setattr(exporter, "recipes_of", lambda _: [])
    path = saved(tmp_path)
    before = path.read_bytes()
    target = tmp_path / "other.safetensors" if given else None
    found = export(path, target)
    beside = tmp_path / "model.openvino.safetensors"
    assert (found.path, found.is_graph) == (target or beside, True)
    assert found.unmatched_bytes > exporter.MOST_UNMATCHED_BYTES
    assert path.read_bytes() == before
    assert np.abs(forward(path, "torch") - forward(found.path, "openvino")).max() <= 2
    with pytest.raises(OutputError, match="overwrite"):
        export(path, target)


def test_a_model_whose_graph_would_be_refused_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_graph, "LAYERS", stored_graph.LAYERS - {"Sigmoid"})
    path = saved(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ModelError, match=r"resnet18.*Sigmoid.*torch computes it"):
        export(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_the_shipped_model_gives_the_graph_that_is_shipped(tmp_path: Path) -> None:
    path = tmp_path / "default.safetensors"
    shutil.copy(find_model("default"), path)
    known = graph_file(read_header(find_model("default")))
    assert known is not None
    found = export(path)
    assert not found.is_graph
    assert found.unmatched_bytes < 3000
    header = read_header(path)
    assert header.digest == read_header(find_model("default")).digest
    # Its layers depend on OpenVINO's version, their numbers do not.
    one, other = read_graph(header), read_graph(read_header(known))
    assert np.array_equal(one.constants, other.constants)


# Recipes are what torch calculates, to the bit.

CONV, NORM = nn.Conv2d(6, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-3)
BIASED, PLAIN = nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5, affine=False)


def state() -> dict[str, np.ndarray]:
    torch.manual_seed(3)
    for norm in (NORM, PLAIN):
        for value in norm.state_dict().values():
            if value.is_floating_point():
                nn.init.uniform_(value, 0.5, 2.0)
    parts = {"conv": CONV, "norm": NORM, "biased": BIASED, "plain": PLAIN}
    return {
        f"{name}.{key}": value.numpy().copy()
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }


def fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
        norm.weight, norm.bias,
    )  # fmt: skip


def joined(_: nn.Conv2d, __: nn.BatchNorm2d) -> torch.Tensor:
    return torch.cat([NORM.weight, CONV.weight.reshape(-1)])


@pytest.mark.parametrize(("conv", "norm"), [("conv", "norm"), ("biased", "plain")])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FoldedKernel, lambda conv, norm: fused(conv, norm)[0]),
        (FoldedBias, lambda conv, norm: fused(conv, norm)[1]),
        (CoarseKernel, lambda conv, norm: upsampling_kernel(fused(conv, norm)[0][:, :4])),
        (FineKernel, lambda conv, norm: fused(conv, norm)[0][:, 4:]),
        (Kept, joined),
    ],
)
@torch.inference_mode()
def test_a_recipe_gives_what_torch_gives(
    kind: type[Any], expected: Callable[..., torch.Tensor], conv: str, norm: str
) -> None:
    arrays = state()
    layers = {"conv": CONV, "norm": NORM, "biased": BIASED, "plain": PLAIN}
    eps = layers[norm].eps
    coarse = [4] if kind in (CoarseKernel, FineKernel) else []
    recipe = (
        Kept(("norm.weight", "conv.weight")) if kind is Kept else kind(conv, norm, eps, *coarse)
    )
    wanted = expected(layers[conv], layers[norm]).half().reshape(-1).numpy()
    made = recipes.made(recipe, arrays)
    assert len(made) == recipe.count(arrays)
    assert np.array_equal(made, wanted)
    assert recipes.read(json.loads(json.dumps(recipes.written(recipe)))) == recipe


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        ["kept"],
        ["kept", 3],
        ["pickled", "conv"],
        ["folded_kernel", "conv", "norm"],
        ["folded_kernel", "conv", "norm", 1],
        ["folded_kernel", "conv", "norm", 1e-5, 4],
        ["folded_bias", "conv", ["kept", "norm"], 1e-5],
        ["coarse_kernel", "conv", "norm", 1e-5, True],
        ["fine_kernel", "conv", "norm", 1e-5, 4.0],
    ],
)
def test_what_is_no_recipe_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="written"):
        recipes.read(raw)


@pytest.mark.parametrize(
    "recipe",
    [
        Kept(("nowhere.weight",)),
        FoldedKernel("conv", "nowhere", 1e-5),
        FoldedKernel("norm", "norm", 1e-5),  # a row is no kernel
        FoldedBias("conv", "conv", 1e-5),
        FoldedKernel("conv", "wide", 1e-5),  # another number of channels
        FineKernel("conv", "wide", 1e-5, 2),
        CoarseKernel("conv", "wide", 1e-5, 2),
        CoarseKernel("conv", "norm", 1e-5, 7),  # more channels than there are
        FoldedBias("conv", "square", 1e-5),  # numpy would multiply rows by columns
    ],
)
def test_weights_that_do_not_fit_a_recipe_are_refused(recipe: Recipe) -> None:
    arrays = state() | {"wide.running_var": np.ones(1, np.float32)}
    arrays["square.running_mean"] = np.ones(5, np.float32)
    arrays["square.running_var"] = np.ones((5, 1), np.float32)
    with pytest.raises((KeyError, ValueError)):
        recipes.made(recipe, arrays)


# Constants are recognised by their values.


def matched(constants: np.ndarray, known: list[Recipe]) -> Topology:
    half = constants.astype(np.float16).view(np.uint8)
    padded = np.concatenate([np.arange(8, dtype=np.uint8), half, np.arange(6, dtype=np.uint8)])
    found = topology_of(b"<net/>", padded, [(8, half.size)], known, state())
    if found.made:
        assert found.literals == bytes([*range(8), *range(6)])
        close = found.grown(state())[8:-6].view(np.float16)
        np.testing.assert_allclose(close, half.view(np.float16), rtol=1e-3, atol=1e-7)
        assert found.grown(state())[:8].tobytes() == bytes(range(8))
    else:
        assert found.literals == padded.tobytes()
        assert np.array_equal(found.grown(state()), padded)
    return found


def test_a_constant_is_recognised_to_the_rounding_of_its_type() -> None:
    known: list[Recipe] = [FineKernel("conv", "norm", 1e-3, 4), FoldedKernel("conv", "norm", 1e-3)]
    value = recipes.made(known[1], state())
    assert [each.recipe for each in matched(value, known).made] == [known[1]]
    near = value.copy()
    near.view(np.uint16)[::3] += 1  # to the next number
    assert [each.recipe for each in matched(near, known).made] == [known[1]]
    far = value.copy()
    far[17] *= 1.004
    assert matched(far, known).made == ()


def test_of_two_recipes_the_exact_one_is_taken() -> None:
    arrays = state()
    near = arrays["conv.weight"].astype(np.float16)
    near.view(np.uint16)[:] += 1
    known = [Kept(("near",)), Kept(("conv.weight",))]
    half = arrays["conv.weight"].astype(np.float16).reshape(-1).view(np.uint8)
    found = topology_of(b"", half, [(0, half.size)], known, arrays | {"near": near})
    assert [each.recipe for each in found.made] == [known[1]]


def test_small_constants_are_literals() -> None:
    value = np.ones((LEAST_BYTES - 2) // 2, np.float16)
    found = topology_of(
        b"", value.view(np.uint8), [(0, value.nbytes)], [Kept(("ones",))], {"ones": value}
    )
    assert found.made == ()
    assert found.literals == value.tobytes()


# A file that somebody else has been at. The checksum is right unless it is the thing.


def refused(path: Path, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        Predictor(path, choose_runtime("cpu", "fp32", "openvino"))
    assert str(path) in str(caught.value)


def rewritten(model: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The model with another topology: `change` gets its JSON."""
    raw = read_metadata(model)
    change(raw["topology"])
    save_file(load_file(model), target, metadata={METADATA_KEY: json.dumps(raw)})
    return target


def signed(model: Path, target: Path, **changes: Any) -> Path:
    """The model with another topology whose checksum is right."""
    header = read_header(model)
    other = replace(topology(model), **changes).to_json(header.digest)
    return rewritten(model, target, lambda raw: raw.update(other))


def deflated(plain: bytes) -> str:
    return base64.b64encode(zlib.compress(plain)).decode()


@pytest.mark.parametrize("part", ["xml", "literals", "made", "sha256"])
def test_a_topology_that_was_changed_is_refused(model: Path, tmp_path: Path, part: str) -> None:
    def change(raw: dict[str, Any]) -> None:
        if part == "made":
            folded = next(each[2] for each in raw["made"] if each[2][0] == "folded_kernel")
            folded[3] *= 1.5  # the eps, which no size reveals
        elif part == "sha256":
            raw[part] = raw[part][::-1]
        else:
            plain = bytearray(zlib.decompress(base64.b64decode(raw[part])))
            plain[len(plain) // 2] ^= 1
            raw[part] = deflated(bytes(plain))

    refused(rewritten(model, tmp_path / "changed.safetensors", change), "checksum")


def test_the_weights_are_checked_too(model: Path, tmp_path: Path) -> None:
    tensors = load_file(model)
    tensors["heads.any.weight"].view(np.uint8).reshape(-1)[5] ^= 1
    path = tmp_path / "changed.safetensors"
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(read_metadata(model))})
    refused(path, "weights do not match their checksum")


def test_a_topology_of_other_weights_is_refused(model: Path, bare: Path, tmp_path: Path) -> None:
    net, card = weights.load(bare)
    with torch.no_grad():
        net.heads["any"].bias += 1
    weights.save(tmp_path / "other.safetensors", net, card)
    raw = read_metadata(tmp_path / "other.safetensors")
    raw["topology"] = read_metadata(model)["topology"]
    path = tmp_path / "mixed.safetensors"
    save_file(
        load_file(tmp_path / "other.safetensors"), path,
        metadata={METADATA_KEY: json.dumps(raw)},
    )  # fmt: skip
    refused(path, "does not match its checksum")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runtime", "shell", "not for OpenVINO"),
        ("xml", None, "not described"),
        ("xml", 7, "not described"),
        ("xml", "no base 64", "export the model again"),
        ("xml", deflated(b"<net/>")[:12], "not described|cut off"),
        ("made", [[0, 64]], "export the model again"),
        ("made", [[0, 64, ["pickled", "a"]]], "no recipe"),
        ("made", [[-2, 64, ["kept", "a"]]], "lie nowhere"),
        ("made", [["0", 64, ["kept", "a"]]], "lie nowhere"),
        ("made", 3, "not described"),
    ],
)
def test_a_topology_that_is_none_is_refused(
    model: Path, tmp_path: Path, key: str, value: object, said: str
) -> None:
    path = tmp_path / "none.safetensors"
    refused(rewritten(model, path, lambda raw: raw.update({key: value})), said)


@pytest.mark.parametrize("part", ["xml", "literals"])
def test_what_is_inflated_has_a_limit(part: str) -> None:
    """A thousandth of it in the file; the rest would only be allocated."""
    raw = Topology(b"<net/>", (), b"").to_json("0")
    Topology.from_json(raw, "0")
    with pytest.raises(ValueError, match="more than 17 MB"):
        Topology.from_json({**raw, part: deflated(b"0" * (MOST_BYTES + 1))}, "0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "does not follow from its weights"),
        ("size", "bytes instead of"),
        ("overlap", "overlap"),
        ("many", "more constants than its weights"),
        ("short", "outside the file|overlap"),
    ],
)
def test_constants_that_do_not_follow_are_refused(
    model: Path, tmp_path: Path, change: str, said: str
) -> None:
    known = topology(model)
    first, *others = known.made
    changed = {
        "missing": (replace(first, recipe=Kept(("nowhere",))), *others),
        "size": (replace(first, size=first.size + 2), *others),
        "overlap": (first, first, *others),
        "many": (*known.made, *[replace(first, size=2**40)] * 2),
        "short": known.made,
    }[change]
    literals = b"" if change == "short" else known.literals
    refused(signed(model, tmp_path / "h.safetensors", made=changed, literals=literals), said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'type="Sigmoid"', b'type="ReadValue"', "'ReadValue' of 'opset1'"),
        (b'type="Sigmoid" version="opset1"', b'type="Sigmoid" version="extension"', "extension"),
        (b"<net", b'<!DOCTYPE net [<!ENTITY a "a">]><net', "entities"),
        (b'offset="0"', b'offset="99999999999"', "outside the file"),
        (b"</net>", b"", "no XML"),
        (b'"any"', b'"nadir"', "another network"),
    ],
)
def test_a_hostile_graph_is_refused(
    model: Path, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    xml = topology(model).xml
    assert old in xml
    refused(signed(model, tmp_path / "h.safetensors", xml=xml.replace(old, new)), said)


def test_constants_that_are_too_large_for_their_type_are_refused(
    bare: Path, model: Path, tmp_path: Path
) -> None:
    tensors = load_file(bare)
    tensors["encoder.model.bn1.running_var"][:] = 0
    tensors["encoder.model.bn1.weight"][:] = 60_000
    raw = read_metadata(model)
    raw["sha256"] = digest_of(tensors)
    raw["topology"] = topology(model).to_json(raw["sha256"])
    path = tmp_path / "large.safetensors"
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(raw)})
    refused(path, "NaN or infinity")


def test_the_digest_without_torch_is_torch_s(bare: Path) -> None:
    assert digest_of(read_arrays(bare)) == read_header(bare).digest
    assert digest_of({"a": np.float32(1).reshape(())}) == weights.digest_of(
        {"a": torch.tensor(1.0)}
    )
