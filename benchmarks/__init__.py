"""Throughput benchmarks, each figure beside its limit and its peers."""
