"""Throughput benchmarks, each figure compared with its limit and its peers."""
