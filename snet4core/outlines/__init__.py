"""Labels to polygons: rings, simplify, fitting, regularize."""
