"""Prepares a store from a data set's video files (section 4.1)."""
