"""Nothing half-written: outputs, places, names."""
