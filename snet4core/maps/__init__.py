"""From pictures to footprint and border maps: engines, windows, maps files, fusion of looks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
