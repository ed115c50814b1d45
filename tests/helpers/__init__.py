"""What tests share: made scenes, tiny models, damaged files, a stub of the worker."""
