"""Expands SCENE arguments: files, quoted globs, folders, lists, STAC items and collections.

The result is sorted and free of duplicates, so that the same scenes give the same run
however they were named. Nothing is opened here except lists and STAC items.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from snet4core.errors import InputError
from snet4core.files.names import is_remote, printable
from snet4core.files.sidecars import read_json, read_text
from snet4core.sentence import ALLOW_REMOTE

log = logging.getLogger("snet4")

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".gtif", ".gtiff", ".jp2", ".j2k", ".j2c", ".img"})
"""Extensions of the files that are taken from a folder."""

_PLACED_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dat", ".bsq", ".bil", ".bip"})
"""Taken from a folder only with a sidecar that can georeference them: others are previews."""

_LIST_BYTES = 64 * 2**20
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, order=True)
class SceneInput:
    """One scene to process."""

    location: str
    """Path of the raster, or its URL."""
    stac_item: Path | None = None
    """The STAC item that names it, with its look angles."""
    other_name: str = ""
    """Its name in results, where several pictures of a run have the same; else empty."""

    @property
    def name(self) -> str:
        """Its name in results: that of the file, without folder and extension."""
        return self.other_name or Path(self.location).stem

    def __fspath__(self) -> str:
        return self.location

    def __str__(self) -> str:
        return self.location


def expand(arguments: Sequence[str | Path], *, allow_remote: bool = False) -> list[SceneInput]:
    """All scenes that the arguments name, sorted, each once.

    An argument is a raster file, a glob in quotes (`**` for any depth), a folder (searched
    to any depth), `@list.txt` (one of these per line, relative to the list), a STAC item, or a
    STAC collection or catalogue on disk (all its items).
    InputError for one that names nothing, or a list or item that cannot be read.
    """
    found = [scene for given in arguments for scene in _one(os.fspath(given), allow_remote)]
    unique: dict[str, SceneInput] = {}
    for scene in sorted(found, key=lambda scene: (scene.location, scene.stac_item is None)):
        remote = is_remote(scene.location)
        unique.setdefault(scene.location if remote else os.path.realpath(scene.location), scene)
    return _told_apart(sorted(unique.values(), key=lambda scene: scene.location))


def _told_apart(scenes: list[SceneInput]) -> list[SceneInput]:
    """Give pictures of one name others: with their folders, else with their extensions.

    They would share one `scene` and one ImageId otherwise.
    """
    names: dict[str, list[int]] = {}
    for index, scene in enumerate(scenes):
        names.setdefault(scene.name, []).append(index)
    taken = set(names)
    for same in [places for places in names.values() if len(places) > 1]:
        for index, name in zip(same, _distinct([scenes[i] for i in same]), strict=True):
            number = 2
            while name in taken:
                name, number = f"{name.rpartition('~')[0] or name}~{number}", number + 1
            taken.add(name)
            scenes[index] = replace(scenes[index], other_name=name)
    return scenes


def _distinct(scenes: Sequence[SceneInput]) -> list[str]:
    """Names with as few of their folders as tell them apart, or with their extensions."""
    paths = [Path(scene.location) for scene in scenes]
    for folders in range(1, max(len(path.parts) for path in paths)):
        tails = ["_".join((*path.parts[-1 - folders : -1], path.stem)) for path in paths]
        if len(set(tails)) == len(tails):
            return [tail.replace(os.sep, "") for tail in tails]
    return [path.name for path in paths]


def _one(given: str, allow_remote: bool) -> Iterator[SceneInput]:
    if given == "@":
        raise InputError("'@' names no list; write @list.txt, with one path per line.")
    if given.startswith("@") and not Path(given).exists():
        for number, line, base in _list_lines(Path(given[1:])):
            try:
                yield from _plain(line, allow_remote, base)
            except InputError as problem:
                where = f"{printable(given[1:])}: line {number}: "
                raise InputError(where, problem.sentence) from problem
        return
    yield from _plain(given, allow_remote, None)


def _plain(given: str, allow_remote: bool, base: Path | None) -> Iterator[SceneInput]:
    """Expand one argument that is no list; `base` is the folder of the list it comes from."""
    if is_remote(given):
        yield SceneInput(given)
        return
    if not given or "\0" in given:
        raise InputError(f"{printable(given)!r} is no path; check the argument.")
    path = base / given if base is not None else Path(given)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as problem:  # A name too long for the file system, a loop of links.
        raise InputError(
            f"{printable(path)} cannot be looked up ({problem.strerror})."
        ) from problem
    if is_folder:
        yield from _folder(path)
    elif not exists and not path.is_symlink() and _GLOB.search(given):
        yield from _glob(path)
    elif path.suffix.lower() == ".json":
        yield from _stac(path, allow_remote)
    else:
        yield SceneInput(str(path))


def _list_lines(path: Path) -> Iterator[tuple[int, str, Path]]:
    """(line number, content, folder) of a list; blank lines and `# comments` are skipped."""
    lines = read_text(path, _LIST_BYTES).splitlines()
    entries = [(number, _unquoted(line.strip())) for number, line in enumerate(lines, 1)]
    entries = [(number, line) for number, line in entries if line and line[:2] != "# "]
    if not entries:
        raise InputError(f"{printable(path)} lists no scene; write one path per line.")
    for number, line in entries:
        if line.startswith("@"):
            raise InputError(f"{printable(path)}: line {number}: a list cannot name another list.")
        yield number, line, path.parent


def _unquoted(line: str) -> str:
    """An entry of a list without the quotes that spreadsheets and `ls -Q` put around it.

    >>> _unquoted('"my scene.tif"'), _unquoted("it's.tif")
    ('my scene.tif', "it's.tif")
    """
    quoted = len(line) > 2 and line[0] == line[-1] and line[0] in "\"'"
    return line[1:-1] if quoted and not Path(line).exists() else line


def _folder(folder: Path) -> list[SceneInput]:
    """Rasters below a folder. Links to folders are followed, each real folder once."""
    seen: set[tuple[int, int]] = set()
    found: list[SceneInput] = []
    closed: list[OSError] = []
    for where, folders, files in os.walk(folder, onerror=closed.append, followlinks=True):
        status = os.stat(where)  # noqa: PTH116 - os.walk hands out strings
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = set(files)
        for name in sorted(names):
            if not name.startswith(".") and _is_raster_name(name, names):
                found.append(SceneInput(os.path.join(where, name)))  # noqa: PTH118
    for problem in closed:
        what = f"{printable(str(problem.filename))} cannot be read ({problem.strerror})"
        if not found:
            raise InputError(f"{what}; allow it, or name the files.") from problem
        log.warning("%s; what lies in it is left out.", what)
    if not found:
        raise InputError(
            f"{printable(folder)} holds no raster (none of {', '.join(sorted(RASTER_SUFFIXES))}); "
            "check the folder, or name the files."
        )
    return found


def _is_raster_name(name: str, neighbours: set[str]) -> bool:
    """Whether a file is a raster, by its extension; some need a sidecar that readers take."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a bare name, no path
    low = suffix.lower()
    if low in RASTER_SUFFIXES:
        return True
    if low not in _PLACED_SUFFIXES:
        return False
    world = f"{suffix[:2]}{suffix[-1]}w"
    endings = (world, f"{suffix}w", ".wld", ".hdr", f"{suffix}.hdr", f"{suffix}.aux.xml")
    return not {f"{stem}{end}".lower() for end in endings}.isdisjoint(map(str.lower, neighbours))


def _glob(pattern: Path) -> list[SceneInput]:
    """Files that match; of those, where there are any, that a folder would give.

    pathlib's `**` does not follow links to folders, so loops end.
    """
    anchor = Path(pattern.anchor) if pattern.anchor else Path()
    relative = str(pattern.relative_to(pattern.anchor)) if pattern.anchor else str(pattern)
    try:
        matches = [match for match in anchor.glob(relative) if match.is_file()]
        if not any(part.startswith(".") for part in Path(relative).parts):  # As shells do.
            matches = [m for m in matches if not _is_hidden(m.relative_to(anchor))]
    except (ValueError, NotImplementedError, OSError, re.error) as problem:
        raise InputError(
            f"{printable(pattern)} is no usable pattern ({problem}); correct it."
        ) from problem
    if not matches:
        raise InputError(
            f"{printable(pattern)} matches no file; check the pattern, and keep it in quotes."
        )
    folders = {match.parent for match in matches}
    names = {folder: _names_in(folder, matches) for folder in folders}
    rasters = [match for match in matches if _is_raster_name(match.name, names[match.parent])]
    return [SceneInput(str(match)) for match in rasters or matches]


def _names_in(folder: Path, matches: Sequence[Path]) -> set[str]:
    """Names of all files in a folder; where it cannot be listed, of the matches in it."""
    with suppress(OSError):
        return {each.name for each in folder.iterdir()}
    return {match.name for match in matches if match.parent == folder}


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _stac(
    path: Path, allow_remote: bool, above: frozenset[str] = frozenset()
) -> Iterator[SceneInput]:
    """The scenes of a STAC item, or of all items below a collection or catalogue on disk.

    `above` are the collections on the way down: a link back to one of them is an error
    instead of an endless walk.
    """
    found = _stac_json(path)
    if found.get("type") == "FeatureCollection":
        raise InputError(
            f"{printable(path)} is a list of STAC items in one file; save each item on its own, "
            "or give the rasters."
        )
    if found.get("type") not in ("Collection", "Catalog"):
        yield _stac_item(path, allow_remote)
        return
    real = os.path.realpath(path)
    if real in above:
        raise InputError(f"{printable(path)} is linked from below itself; remove that link.")
    if len(above) >= _DEEPEST:
        raise InputError(f"{printable(path)} lies {_DEEPEST} collections deep; give one of them.")
    links = [link for link in _links(path, found) if link.get("rel") in ("item", "child")]
    if not links:
        raise InputError(f"{printable(path)} links to no item; give the items or the rasters.")
    for link in links:
        href = str(link.get("href"))
        if is_remote(href) and not _is_file_url(href):
            raise InputError(
                f"{printable(path)}: it links to {printable(href)}; collections are read from "
                "disk alone, so download it first."
            )
        yield from _stac(_on_disk(path, href), allow_remote, above | {real})


_DEEPEST = 16
"""Deepest nesting of catalogues; more is a mistake, or malice."""


def _links(path: Path, collection: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    links = collection.get("links")
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise InputError(f"{printable(path)}: its links are no list of links; correct it.")
    return links


def _stac_json(path: Path) -> Mapping[str, Any]:
    found = read_json(path, "give a STAC item")
    if not isinstance(found, dict):
        raise InputError(f"{printable(path)} is JSON but no STAC item; give the raster.")
    return found


def read_stac(path: Path) -> Mapping[str, Any]:
    """Read a STAC item as plain values; InputError if it is not one."""
    item = _stac_json(path)
    if not isinstance(item.get("assets"), dict):
        raise InputError(
            f"{printable(path)} is JSON but no STAC item (it has no assets); give the raster."
        )
    return item


def asset_of(item: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The asset of a STAC item whose href ends in this file name; None if there is none."""
    for asset in item["assets"].values():
        href = asset.get("href") if isinstance(asset, dict) else None
        if isinstance(href, str) and name in (href_name(href), PurePosixPath(href).name):
            return dict(asset)
    return None


def href_name(href: str) -> str:
    """The file name that an href ends in, with `%20` and its like undone.

    >>> href_name("file:///data/my%20scene.tif")
    'my scene.tif'
    """
    return PurePosixPath(unquote(href)).name


def _stac_item(path: Path, allow_remote: bool) -> SceneInput:
    """The one raster of a STAC item; InputError for none or several."""
    candidates = {
        name: asset["href"]
        for name, asset in read_stac(path)["assets"].items()
        if isinstance(asset, dict) and _is_href(asset.get("href")) and _is_picture(asset)
    }
    data = {
        name: href
        for name, href in candidates.items()
        if "data" in (read_stac(path)["assets"][name].get("roles") or [])
    }
    chosen = data or candidates
    if len(chosen) != 1:
        names = ", ".join(sorted(chosen)) or "none"
        raise InputError(
            f"{printable(path)}: one raster asset is needed, found {len(chosen)} ({names}); "
            "give the raster itself."
        )
    (href,) = chosen.values()
    if is_remote(href) and not _is_file_url(href):
        if not allow_remote:
            raise InputError(
                f"{printable(path)}: its raster is at {printable(href)}, and snet4 opens no "
                "connections by itself; download it, or give ",
                ALLOW_REMOTE,
                ".",
            )
        return SceneInput(href, path)
    return SceneInput(str(_on_disk(path, href)), path)


def _is_href(href: object) -> bool:
    return isinstance(href, str) and bool(href.strip())


def _is_file_url(href: str) -> bool:
    return href.lower().startswith("file://")


def _on_disk(path: Path, href: str) -> Path:
    """The file that an href of the STAC file `path` names: a path, or a URL that is local."""
    if _is_file_url(href):
        return Path(unquote(urlsplit(href).path))
    plain = path.parent / href
    if not plain.exists() and (path.parent / unquote(href)).exists():
        return path.parent / unquote(href)  # a relative URL, in which a blank is %20
    return plain


def _is_picture(asset: Mapping[str, Any]) -> bool:
    roles = asset.get("roles") or []
    if not isinstance(roles, list) or {"thumbnail", "overview", "metadata"} & set(map(str, roles)):
        return False
    kind = str(asset.get("type", ""))
    suffix = Path(asset["href"]).suffix.lower()
    return kind.startswith(("image/tiff", "image/jp2")) or suffix in RASTER_SUFFIXES
