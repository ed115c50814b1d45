"""Pictures to chips: cutting, storing, augmenting, batching."""
