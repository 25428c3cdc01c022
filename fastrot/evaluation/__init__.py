"""Evaluation of trained networks: accuracies, probes, retrieval and scores."""
