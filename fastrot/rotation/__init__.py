"""The rotation op, the sets of rotations and their labels."""
