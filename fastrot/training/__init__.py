"""The training loop shared by pretext and transfer."""
