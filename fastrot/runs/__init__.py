"""What a run leaves: its folder, state, checkpoints, environment and curves."""
