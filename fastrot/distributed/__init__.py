"""The distributed runtime: device, ranks, collectives, cores and memory."""
