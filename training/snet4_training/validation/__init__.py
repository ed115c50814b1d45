"""Validation: scores, galleries, look error, calibration, the card."""
