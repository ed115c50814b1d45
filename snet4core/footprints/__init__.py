"""Footprints on the ground: place, area, confidence, order, overlaps."""
