"""Kernels and attention maps of the first layer of a network."""
