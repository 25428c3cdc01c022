"""The training loop shared by pretext and transfer tasks (section 4.2)."""
