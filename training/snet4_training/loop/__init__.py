"""The loop: losses, schedule, checkpoints, processes, records."""
