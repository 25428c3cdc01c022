"""The training loop shared by pretext and transfer (section 4.2)."""
