"""The rotation op: sets, labels, and the op itself."""
