"""One scene: the plan, its parts and their store, from the picture to footprints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
