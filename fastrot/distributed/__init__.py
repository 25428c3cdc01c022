"""One process among several: device, ranks, collectives, cores and memory."""
