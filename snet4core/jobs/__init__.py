"""Many scenes and many machines: runs, executors, Dask, shards, merge, overlapping scenes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
