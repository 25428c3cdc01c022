"""The demo: the built-in data set and the whole method applied to it."""
