"""Building footprints from satellite pictures that did not look straight down.

    import snet4core
    found = snet4core.detect("scene.tif", off_nadir_deg=32)
    found.write("footprints.gpkg")

The names in `__all__` are public; everything else may move or change without notice. They
are loaded when they are used first, so that `import snet4core` itself loads nothing heavy.
Packages stand in a row, and each imports only what stands to its left
(`tests/laws/test_imports.py`):

    files < scene < look < model < maps < labels < outlines < footprints < layers
        < parts < jobs < worker
"""

from importlib import metadata

import lazy_loader

try:
    __version__ = metadata.version("snet4")
except metadata.PackageNotFoundError:  # a copy on the path, never installed
    __version__ = "0+unknown"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
