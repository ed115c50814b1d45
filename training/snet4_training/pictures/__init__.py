"""Labelled pictures: folders, targets, lean, splits."""
