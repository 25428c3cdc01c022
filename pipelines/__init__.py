"""The data path: a video file in, an augmented clip tensor out."""
