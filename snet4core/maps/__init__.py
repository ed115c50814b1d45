"""Pictures to maps: engines, predictor, maps file, fusion, look guess."""
