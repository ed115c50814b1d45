"""What the bands of a picture show: kept in a file that QGIS writes, or offered as BANDS."""

from __future__ import annotations

from itertools import zip_longest

from osgeo import gdal
from qgis.core import QgsRasterDataProvider

from .texts import tr

_RED, _GREEN, _BLUE, _ALPHA = 3, 4, 5, 6
"""GDAL's numbers of what a band shows, which are QGIS's too."""

_UNNAMED = (0, 1)
"""Numbers of a band that shows nothing in particular: undefined, and grey."""


def common_orders(count: int) -> list[tuple[str, str]]:
    """Values of BANDS for common orders of so many bands, with their names."""
    if count == 1:
        return [("1,1,1,-", tr("one band for all colours"))]
    if count == 3:
        return [("3,2,1,-", tr("red, green, blue")), ("1,2,3,-", tr("blue, green, red"))]
    orders = [
        ("1,2,3,4", tr("blue, green, red, infrared")),
        ("3,2,1,4", tr("red, green, blue, infrared")),
        ("3,2,1,-", tr("red, green, blue")),
    ]
    eight = [("2,3,5,7", tr("the eight bands of WorldView"))] if count >= 8 else []
    return eight + orders if count >= 4 else []


def colours_of(provider: QgsRasterDataProvider) -> list[int]:
    """What each band shows; of a service, whose picture is drawn, red, green, blue and alpha."""
    if provider.name() == "wms" or provider.bandCount() == 0 or _is_drawn(provider):
        return [_RED, _GREEN, _BLUE, _ALPHA]
    shown = (provider.colorInterpretation(number) for number in range(1, provider.bandCount() + 1))
    return [int(getattr(each, "value", each)) for each in shown]


def creation_options(colours: list[int]) -> list[str]:
    """Options of a GeoTIFF whose bands show that, as far as options can say it."""
    if colours[:3] != [_RED, _GREEN, _BLUE]:
        return ["PHOTOMETRIC=MINISBLACK"]
    return ["PHOTOMETRIC=RGB", *(["ALPHA=YES"] if colours[3:] == [_ALPHA] else [])]


def named(path: str, provider: QgsRasterDataProvider, colours: list[int]) -> str | None:
    """Give the bands of a written GeoTIFF the names and colours that they have in the layer.

    QGIS writes neither. Returns None, or a value of BANDS where the file cannot be given them.
    """
    names = _descriptions(provider)
    try:
        file = gdal.Open(path, gdal.GA_Update)
        if file.RasterCount != len(colours):
            return _option(colours)
        for number, (colour, name) in enumerate(zip_longest(colours, names[: len(colours)]), 1):
            band = file.GetRasterBand(number)
            if name:
                band.SetDescription(name)
            if band.GetColorInterpretation() != colour:
                band.SetColorInterpretation(colour)
    except (AttributeError, RuntimeError):  # GDAL returns None, or raises where told to
        return _option(colours)
    file = None  # writes it
    return None


def _is_drawn(provider: QgsRasterDataProvider) -> bool:
    """Whether its one band is a drawn picture: 32 bits of alpha, red, green, blue."""
    kind = provider.dataType(1)
    return int(getattr(kind, "value", kind)) in (12, 13)


def _descriptions(provider: QgsRasterDataProvider) -> list[str]:
    """What GDAL calls the bands, which QGIS does not hand on; nothing of other layers."""
    if provider.name() != "gdal":
        return []
    try:
        file = gdal.Open(provider.dataSourceUri())
        numbers = range(1, file.RasterCount + 1)
        return [file.GetRasterBand(number).GetDescription() for number in numbers]
    except (AttributeError, RuntimeError):
        return []


def _option(colours: list[int]) -> str | None:
    """A value of BANDS, where red, green and blue are known but do not come first.

    As the engine does of a file, the one band that shows nothing else is taken for infrared.
    """
    names = {_RED: "red", _GREEN: "green", _BLUE: "blue"}
    if colours[:3] == list(names) or not set(names) <= set(colours):
        return None
    found = {name: colours.index(each) + 1 for each, name in names.items()}
    spare = [number for number, colour in enumerate(colours, 1) if colour in _UNNAMED]
    if len(spare) == 1:
        found["nir"] = spare[0]
    return ",".join(f"{name}={number}" for name, number in found.items())
