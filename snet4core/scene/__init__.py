"""What a picture is: which formats are let in, bands, no-data, georeference, its pixels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
