"""Writing files so that nothing is left half-written; folders, object stores, safe names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
