"""From labels to polygons in pixels: tracing, simplification, straight walls, right angles."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
