"""How tilted the picture is, and who says so."""
