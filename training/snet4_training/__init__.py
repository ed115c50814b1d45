"""How a model learns to see sideways: scenes, data, losses, the loop, validation."""
