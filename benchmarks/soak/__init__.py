"""Soak tests with random faults, and memory over hours: python -m benchmarks.soak"""
