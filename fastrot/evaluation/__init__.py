"""Accuracies, probes and scores of a trained network."""
