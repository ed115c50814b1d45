"""One scene, in parts: plan, work, store, detect, polygonize."""
