"""The command line `snet4`: a thin skin over `snet4core` and `snet4_training`."""
