"""The acceptance of a GPU by one command: python -m benchmarks.acceptance"""
