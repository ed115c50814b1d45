"""From maps to labelled buildings: components across seams, seeds, regions, cuts between them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
