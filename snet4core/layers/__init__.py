"""Files of footprints, written and read."""
