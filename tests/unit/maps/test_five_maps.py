"""A model of five maps, in both engines: the predictor hands out roofs and heights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("openvino", reason="OpenVINO is not installed")

from snet4core.errors import ModelError, UsageError  # after the skips
from snet4core.maps.feet import heights_by_feet
from snet4core.maps.maps import Maps
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import AnyEngine, choose_runtime
from snet4core.model import weights
from snet4core.model.card import FIVE_MAPS
from snet4core.model.ensemble import combined_header
from snet4core.model.exporter import export_apart
from snet4core.model.graph import read_graph, write_graph
from snet4core.model.header import Header, read_header
from snet4core.windows import Window
from tests.helpers.networks import CARD, NORTH_30, SMALL, listening_net, pixels, reader

FIVE = replace(SMALL, maps=FIVE_MAPS)
SHAPE = (100, 90)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model of five maps, with its graph beside it."""
    path = tmp_path_factory.mktemp("model") / "five.safetensors"
    weights.save(path, listening_net(FIVE), replace(CARD, architecture=FIVE))
    export_apart(path, path.with_name("five.openvino.safetensors"))
    return path


def whole(model: Path | Header, engine: AnyEngine) -> list[Maps]:
    predictor = Predictor(model, choose_runtime("cpu", "fp32", engine))
    return list(predictor.maps(reader(pixels(*SHAPE)), SHAPE, NORTH_30))


def test_both_engines_give_the_same_five_maps(model: Path) -> None:
    one, other = whole(model, "torch"), whole(model, "openvino")
    for here, there in zip(one, other, strict=True):
        assert len(here.layers) == len(there.layers) == 5
        for seen_HW, again_HW in zip(here.layers, there.layers, strict=True):
            assert seen_HW.shape == here.window.shape
            assert np.abs(seen_HW.astype(int) - again_HW).max() <= 2
    roofs = one[0].roofs
    assert roofs is not None
    assert not np.array_equal(one[0].footprint_HW, roofs[0])


def test_both_engines_take_the_same_mean_over_scales(model: Path) -> None:
    """Torch on its device, and numpy around OpenVINO; heights are scaled back by both."""
    several = combined_header([read_header(model)], (0.75, 1.0, 1.5))
    for here, there in zip(whole(several, "torch"), whole(several, "openvino"), strict=True):
        assert len(here.layers) == len(there.layers) == 5
        for seen_HW, again_HW in zip(here.layers, there.layers, strict=True):
            assert seen_HW.std() > 1
            assert np.abs(seen_HW.astype(int) - again_HW).max() <= 2


def test_a_graph_of_other_maps_than_its_card_names_is_refused(model: Path, tmp_path: Path) -> None:
    graph = read_header(model.with_name("five.openvino.safetensors"))
    swapped = tmp_path / "swapped.safetensors"
    write_graph(swapped, read_graph(graph), CARD, "0" * 64, overwrite=False)
    with pytest.raises(ModelError, match="gives other maps than the card names"):
        Predictor(swapped, choose_runtime("cpu", "fp32", "openvino"))


def test_a_graph_whose_programs_are_kept_is_refused_under_another_card(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNET4_CACHE", str(tmp_path / "kept"))
    graph = read_header(model.with_name("five.openvino.safetensors"))
    predictor = Predictor(graph.path, choose_runtime("cpu", "fp32", "openvino"))
    list(predictor.maps(reader(pixels(*SHAPE)), SHAPE, NORTH_30))
    assert list((tmp_path / "kept").iterdir())
    swapped = tmp_path / "swapped.safetensors"
    write_graph(swapped, read_graph(graph), CARD, "0" * 64, overwrite=False)
    with pytest.raises(ModelError, match="gives other maps than the card names"):
        Predictor(swapped, choose_runtime("cpu", "fp32", "openvino"))


def test_maps_of_roofs_come_together_or_not_at_all() -> None:
    image_HW, valid_HW = np.zeros((2, 3), np.uint8), np.ones((2, 3), np.bool_)
    with pytest.raises(UsageError, match="belong together"):
        Maps(Window(0, 0, 2, 3), image_HW, image_HW, valid_HW, image_HW)
    layers = [np.full((2, 3), number, np.uint8) for number in range(5)]
    maps = Maps.of(Window(4, 4, 2, 3), layers, valid_HW)
    cut = maps.part(Window(5, 5, 1, 2))
    assert [each.tolist() for each in cut.layers] == [[[number] * 2] for number in range(5)]


def test_a_known_lean_changes_heights_alone(model: Path) -> None:
    predictor = Predictor(model, choose_runtime("cpu", "fp32", "openvino"))
    read = reader(pixels(*SHAPE))
    plain, leaning = (
        list(predictor.maps(read, SHAPE, NORTH_30, lean_px=lean)) for lean in (None, (0.8, -0.4))
    )
    asked = [heights_by_feet(np.stack(each.layers), (0.8, -0.4)) for each in plain]
    assert any((new[-1] != old.layers[-1]).any() for new, old in zip(asked, plain, strict=True))
    for new, old in zip(leaning, plain, strict=True):
        assert all((a == b).all() for a, b in zip(new.layers[:-1], old.layers[:-1], strict=True))
    assert any((a.layers[-1] != b.layers[-1]).any() for a, b in zip(leaning, plain, strict=True))
