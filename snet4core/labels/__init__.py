"""Maps to buildings: runs, seams, seeds, flood, cuts, judge, watershed."""
