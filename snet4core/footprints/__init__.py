"""Polygons on the ground: coordinates, area, confidence, order, overlaps."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
