"""The engine as a program over a pipe, for QGIS: one job in, events out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
