"""SCENE arguments: however scenes are named, the same ones come out, in the same order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snet4core.errors import InputError
from snet4core.scene.inputs import SceneInput, expand


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rasters at three depths, among files that are none."""
    for name in ("b.tif", "a.TIF", "deep/er/c.jp2", "deep/d.img", "deep/notes.txt", "a.IMD",
                 ".hidden.tif", ".trash/e.tif", "preview.jpg", "placed.png", "placed.pgw",
                 "b.tif.aux.xml", "b.tif.ovr"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"II*\0")
    return tmp_path


def names(scenes: list[SceneInput], folder: Path) -> list[str]:
    return [os.path.relpath(scene, folder) for scene in scenes]


EVERYTHING = ["a.TIF", "b.tif", "deep/d.img", "deep/er/c.jp2", "placed.png"]


def test_a_folder_gives_its_rasters_and_nothing_else(folder: Path) -> None:
    assert names(expand([folder]), folder) == EVERYTHING


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(order=st.permutations(["", "b.tif", "a.TIF", "deep", "deep/../b.tif", "placed.png"]))
def test_order_and_repetition_of_arguments_do_not_matter(folder: Path, order: list[str]) -> None:
    assert names(expand([folder / name for name in order]), folder) == EVERYTHING


def test_links_are_followed_once_and_loops_end(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "again.tif").symlink_to(folder / "b.tif")
    found = names(expand([folder]), folder)
    assert sorted(os.path.realpath(folder / name) for name in found) == sorted(
        str(folder / name) for name in EVERYTHING
    )
    assert len(expand([f"{folder}/**/*.tif"])) == 1


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.tif", ["b.tif"]),
        ("**/*.jp2", ["deep/er/c.jp2"]),
        ("[ab].*", ["a.TIF", "b.tif"]),
        ("deep/*", ["deep/d.img"]),
        ("placed.*", ["placed.png"]),
        ("p*.*[gw]", ["placed.png"]),
        ("*", ["a.TIF", "b.tif", "placed.png"]),
        ("preview.jp?", ["preview.jpg"]),
    ],
)
def test_globs(folder: Path, pattern: str, expected: list[str]) -> None:
    found = expand([f"{folder}/{pattern}"])
    assert names(found, folder) == expected


def test_sidecars_place_a_picture_under_all_names_that_are_read(tmp_path: Path) -> None:
    placed = {"a.dat": "a.hdr", "b.dat": "b.dat.hdr", "c.DAT": "c.HDR", "d.png": "d.wld",
              "e.jpg": "e.jgw", "f.jpg": "f.jpgw", "g.png": "g.png.aux.xml"}  # fmt: skip
    for name in (*placed, *placed.values(), "h.png", "i.dat"):
        (tmp_path / name).write_bytes(b"x")
    assert names(expand([tmp_path]), tmp_path) == sorted(placed)
    assert names(expand([f"{tmp_path}/*"]), tmp_path) == sorted(placed)
    assert names(expand([f"{tmp_path}/b*"]), tmp_path) == ["b.dat"]


def test_a_pattern_reaches_into_a_folder_that_cannot_be_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(self: Path) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    assert names(expand([f"{folder}/*.tif"]), folder) == ["b.tif"]


def test_a_folder_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scandir = os.scandir

    def closed(where: str) -> object:
        if Path(where).name == "deep":
            raise PermissionError(13, "Permission denied", where)
        return scandir(where)

    monkeypatch.setattr(os, "scandir", closed)
    assert names(expand([folder]), folder) == ["a.TIF", "b.tif", "placed.png"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}/deep cannot be read (Permission denied); what lies in it is left out."
    ]
    with pytest.raises(InputError, match=r"deep cannot be read .*; allow it, or name the files"):
        expand([folder / "deep"])


def test_a_relative_glob_starts_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [str(scene) for scene in expand(["*.tif"])] == ["b.tif"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    odd = tmp_path / "a[1]*.tif"
    odd.write_bytes(b"x")
    assert expand([odd]) == [SceneInput(str(odd))]


def test_a_list_is_relative_to_itself(folder: Path) -> None:
    listing = folder / "list.txt"
    listing.write_text("\ufeff# two and more\r\nb.tif\r\n\r\ndeep\n*.TIF\n", encoding="utf-8")
    found = expand([f"@{listing}"])
    assert names(found, folder) == ["a.TIF", "b.tif", "deep/d.img", "deep/er/c.jp2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "lists no scene"),
        (b"# nothing\n\n", "lists no scene"),
        (b"b.tif\n@other.txt\n", "line 2"),
        (b"b.tif\nnone*.tif\n", "line 2: .* matches no file"),
        (b"b.tif\na\0b\n", "line 2"),
        (b"caf\xe9.tif\n", "UTF-8"),
    ],
)
def test_bad_lists_are_refused_by_line(folder: Path, text: bytes, message: str) -> None:
    listing = folder / "list.txt"
    listing.write_bytes(text)
    with pytest.raises(InputError, match=message) as problem:
        expand([f"@{listing}"])
    assert "list.txt" in str(problem.value)


def test_arguments_that_name_nothing_are_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    for argument, message in (
        (f"{folder}/*.gif", "matches no file"), (folder / "empty", "holds no raster"),
        (f"@{folder}/none.txt", "cannot be read"), ("", "is no path"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            expand([argument])


def test_a_file_that_is_not_there_is_left_to_the_one_door() -> None:
    assert expand(["none.tif"]) == [SceneInput("none.tif")]


def test_a_fifo_as_a_list_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a plain file"):
        expand([f"@{tmp_path}/pipe"])


# --- STAC ---


def item(folder: Path, assets: object) -> Path:
    path = folder / "item.json"
    path.write_text(json.dumps({"type": "Feature", "assets": assets}))
    return path


def test_a_stac_item_names_one_local_raster(folder: Path) -> None:
    path = item(
        folder,
        {
            "image": {"href": "./deep/d.img", "roles": ["data"]},
            "thumbnail": {"href": "preview.tif", "roles": ["thumbnail"]},
            "metadata": {"href": "b.xml"},
            "visual": {"href": "b.tif", "roles": ["visual"]},
        },
    )
    (found,) = expand([path])
    assert Path(found.location) == folder / "deep/d.img"
    assert found.stac_item == path


def test_remote_assets_need_permission(folder: Path) -> None:
    path = item(folder, {"image": {"href": "https://host.example/a.tif"}})
    with pytest.raises(InputError, match="--allow-remote"):
        expand([path])
    (found,) = expand([path], allow_remote=True)
    assert found.location == "https://host.example/a.tif"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"assets": []}', '{"assets": {}}', '{"assets": {"a": {"href": 5}}}',
     '{"assets": {"a": {"href": "a.tif"}, "b": {"href": "b.tif"}}}', "[" * 100_000,
     '{"assets": {"a": {"href": "a.tif", "roles": "data"}}}',
     '{"assets": {"a": {"href": " ", "type": "image/tiff"}}}'],
)  # fmt: skip
def test_json_that_names_no_raster_is_refused(folder: Path, text: str) -> None:
    path = folder / "item.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"item\.json"):
        expand([path])


def catalogue(
    folder: Path, name: str, links: list[tuple[str, str]], kind: str = "Collection"
) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"type": kind, "links": [{"rel": rel, "href": href} for rel, href in links]}
    path.write_text(json.dumps(content))
    return path


def item_named(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "Feature", "assets": {"a": {"href": f"{path.stem}.tif"}}}))
    return path


def test_a_stac_collection_names_the_rasters_of_all_its_items(tmp_path: Path) -> None:
    item_named(tmp_path, "town/one.json")
    item_named(tmp_path, "town/two.json")
    item_named(tmp_path, "three.json")
    links = [("item", "one.json"), ("item", "./two.json"), ("root", "../catalog.json")]
    catalogue(tmp_path, "town/collection.json", links)
    top = catalogue(
        tmp_path, "catalog.json", [("child", "town/collection.json"), ("item", "three.json")],
        "Catalog",
    )  # fmt: skip
    found = expand([top])
    assert [Path(each.location).name for each in found] == ["three.tif", "one.tif", "two.tif"]
    assert all(each.stac_item is not None and each.stac_item.exists() for each in found)


def test_links_of_a_collection_may_be_urls_of_files(tmp_path: Path) -> None:
    for name in ("my town.json", "other town.json"):
        item_named(tmp_path, name)
    links = [("item", "my%20town.json"), ("item", f"file://{tmp_path}/other%20town.json")]
    found = expand([catalogue(tmp_path, "collection.json", links)])
    assert [Path(each.location).name for each in found] == ["my town.tif", "other town.tif"]


def test_a_list_without_a_name_is_told() -> None:
    with pytest.raises(InputError, match=r"'@' names no list; write @list\.txt"):
        expand(["@"])


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([], "links to no item"),
        ([("item", "gone.json")], "gone.json"),
        ([("child", "top.json")], "linked from below itself"),
        ([("item", "https://example.com/item.json")], "download it first"),
    ],
)
def test_a_collection_that_leads_nowhere_is_one_sentence(
    tmp_path: Path, links: list[tuple[str, str]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        expand([catalogue(tmp_path, "top.json", links)])


def test_items_in_one_file_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match="each item on its own"):
        expand([path])
