"""Random faults and hours of running: python -m benchmarks.soak"""
