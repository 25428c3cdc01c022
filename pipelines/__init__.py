"""The data path: from a video file to an augmented clip tensor."""
