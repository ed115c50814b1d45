"""Training the judge of cuts between attached buildings."""
