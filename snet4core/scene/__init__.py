"""What a picture is: door, bands, no-data, georeference, radiometry, reader."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
