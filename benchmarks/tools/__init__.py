"""Measurements and arithmetic by hand: reading, preparing, planning a cluster."""
