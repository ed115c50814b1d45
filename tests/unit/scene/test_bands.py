"""Which band is which: always said, never guessed in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snet4core.errors import InputError, UsageError
from snet4core.scene.bands import MODEL_BANDS, FileBands, band_map

RGB = ("red", "green", "blue")


def untagged(count: int) -> FileBands:
    """As GDAL shows a file that says nothing: the first band grey, the others undefined."""
    return FileBands((None,) * count, ("gray", *["undefined"] * (count - 1)))


def described(*names: str | None) -> FileBands:
    return FileBands(names, ("undefined",) * len(names))


# --- Laws ---


@given(st.integers(1, 12), st.data())
def test_the_option_is_done_to_the_letter(count: int, data: st.DataObject) -> None:
    choice = st.one_of(st.none(), st.integers(1, count))
    wanted = data.draw(st.lists(choice, min_size=4, max_size=4).filter(any))
    positional = ",".join("-" if band is None else str(band) for band in wanted)
    named = ",".join(f"{n}={b}" for n, b in zip(MODEL_BANDS, wanted, strict=True) if b)
    for option in (positional, named):
        chosen = band_map(untagged(count), option)
        assert chosen.file_bands == tuple(wanted)
        assert "--bands" in chosen.says


@given(st.permutations(["Blue", "Green", "Red", "NIR", "Coastal", "Red Edge", "Yellow", "NIR2"]))
def test_names_are_followed_in_any_order(names: list[str]) -> None:
    chosen = band_map(described(*names))
    expected = tuple(names.index(name) + 1 for name in ("Blue", "Green", "Red", "NIR"))
    assert chosen.file_bands == expected


@given(st.integers(1, 40))
def test_a_number_of_bands_without_a_custom_is_refused_with_the_option(count: int) -> None:
    if count in (3, 4, 8):
        assert len(band_map(untagged(count)).file_bands) == 4
        return
    with pytest.raises(InputError, match="--bands") as problem:
        band_map(untagged(count))
    option = str(problem.value).rpartition("--bands ")[2]
    assert band_map(untagged(count), option).file_bands.count(None) < 4


# --- Customs ---


@pytest.mark.parametrize(
    ("file", "expected", "says"),
    [
        (untagged(3), (3, 2, 1, None), "untagged"),
        (untagged(4), (1, 2, 3, 4), "SpaceNet 4"),
        (untagged(8), (2, 3, 5, 7), "WorldView"),
        (FileBands((None,) * 3, RGB), (3, 2, 1, None), "named in the file"),
        (FileBands((None,) * 4, (*RGB, "undefined")), (3, 2, 1, 4), "taken for infrared"),
        (FileBands((None,) * 4, (*RGB, "nir")), (3, 2, 1, 4), "named in the file"),
        (FileBands((None,) * 4, (*RGB, "alpha")), (3, 2, 1, None), "mask = band 4"),
        (FileBands((None,) * 5, (*RGB, "nir", "alpha")), (3, 2, 1, 4), "mask = band 5"),
        (FileBands((None,) * 6, (*RGB, *["undefined"] * 3)), (3, 2, 1, None), "nir = none"),
        (described("Band 1 (Blue)", "Band 2 (Green)", "Band 3 (Red)", "Band 4 (NIR)"),
         (1, 2, 3, 4), "named in the file"),
        (described("B", "G", "R", "N"), (1, 2, 3, 4), "named in the file"),
    ],
)  # fmt: skip
def test_customary_files(file: FileBands, expected: tuple[int | None, ...], says: str) -> None:
    chosen = band_map(file)
    assert chosen.file_bands == expected
    assert says in chosen.says
    assert chosen.says.count("\n") == 0
    assert chosen.says.endswith(".")


def test_descriptions_outweigh_colour_tags() -> None:
    """Many writers tag the first three bands R, G, B whatever they hold."""
    file = FileBands(("blue", "green", "red"), RGB)
    assert band_map(file).file_bands == (1, 2, 3, None)


def test_an_alpha_band_is_a_mask_unless_the_user_says_otherwise() -> None:
    rgba = FileBands((None,) * 4, (*RGB, "alpha"))
    assert band_map(rgba).alpha_band == 4
    assert band_map(rgba, "3,2,1,4").alpha_band is None
    assert band_map(rgba, "3,2,1,-").alpha_band == 4


def test_two_bands_of_one_name_are_no_name() -> None:
    with pytest.raises(InputError):
        band_map(described("blue", "green", "red", "red"))


def test_red_edge_and_second_infrared_are_not_mistaken() -> None:
    chosen = band_map(described("red edge", "nir2", "coastal blue", "red", "green", "blue"))
    assert chosen.file_bands == (6, 5, 4, None)


def test_panchromatic_is_asked_for_by_name() -> None:
    with pytest.raises(InputError, match=r"1 band .*--bands 1,1,1,-$"):
        band_map(untagged(1))


def test_grey_with_alpha_is_panchromatic_too() -> None:
    with pytest.raises(InputError, match="--bands 1,1,1,-"):
        band_map(FileBands((None, None), ("gray", "alpha")))


def test_palette_indices_are_no_colours() -> None:
    with pytest.raises(InputError, match="-expand rgb"):
        band_map(FileBands((None,), ("palette",)), "1,1,1,-")


def test_a_model_of_other_bands_is_served_by_name() -> None:
    file = described("pan")
    assert band_map(file, model_bands=("pan",)).file_bands == (1,)
    assert band_map(untagged(8), model_bands=("red", "rededge")).file_bands == (5, 6)


@pytest.mark.parametrize(
    "option",
    ["", "1", "1,2,3", "1,2,3,4,5", "0,1,2,3", "1,2,3,9", "-,-,-,-", "a,b,c,d", "1,2,3,-1",
     "red=1,red=2", "purple=1", "red=9", "red", "red=", "red=1,2", "1.0,2,3,4", "٣,2,1,4",
     "red=0x1", "1;2;3;4", "red=1,r=2"],
)  # fmt: skip
def test_options_that_make_no_sense_are_named(option: str) -> None:
    with pytest.raises(UsageError, match="--bands"):
        band_map(untagged(4), option)
