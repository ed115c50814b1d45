"""A page about a layer: one HTML file that needs no network, with a map of what was found."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
