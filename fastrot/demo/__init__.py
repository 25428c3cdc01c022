"""The built-in data set and the main job on it."""
