"""Faster forms of parts of the training step, not yet measured on a GPU; no config selects them."""
