"""The outputs of a run: folder, state, checkpoints, environment and curves."""
