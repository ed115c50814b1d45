"""The program over a pipe: one job in, events out."""
