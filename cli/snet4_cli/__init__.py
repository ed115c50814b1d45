"""The command line `snet4`: a thin layer over `snet4core` and `snet4_training`."""
