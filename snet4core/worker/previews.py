"""The job `preview`: shapes of a part of stored maps, anew for each line that comes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import shapely

from snet4core.errors import Snet4Error, UsageError
from snet4core.parts.preview import Preview, StoredMaps
from snet4core.sentence import Sentence
from snet4core.worker.request import Request, parse

if TYPE_CHECKING:
    from snet4core.worker.channel import Telling


def answers(first: Request, telling: Telling) -> dict[str, Any]:
    """Answer `first` and every further line with `shapes` or `refused`; returns when stdin ends.

    Raises InputError where the maps cannot be opened.
    """
    with closing(StoredMaps(first.path("maps"))) as maps:
        _answer(maps, first, telling)
        while (line := telling.mailbox.take()) is not None:
            try:
                request = parse(line)
            except UsageError as problem:
                _refuse(telling, None, problem)
            else:
                _answer(maps, request, telling)
    return {}


def _answer(maps: StoredMaps, request: Request, telling: Telling) -> None:
    try:
        if request.kind != "preview" or request.path("maps") != maps.path:
            raise UsageError(f"This worker previews {maps.path}; start another for other work.")
        found = maps.preview(request.choices.bounds, request.choices)
    except Snet4Error as problem:
        _refuse(telling, request.number, problem)
    else:
        telling.channel.send("shapes", number=request.number, **_facts(request, found))


def _refuse(telling: Telling, number: int | None, problem: Snet4Error) -> None:
    sentence = Sentence(problem.sentence).one_line()
    telling.channel.send("refused", number=number, code=problem.exit_code, sentence=sentence)


def _facts(request: Request, found: Preview) -> dict[str, Any]:
    return {
        "count": len(found.footprints),
        "shapes": shapely.MultiPolygon(list(found.footprints.polygons_N)).wkb_hex,
        "bounds": list(found.bounds),
        "is_whole": found.is_whole,
        "settings": request.shapes(found.settings),
    }
