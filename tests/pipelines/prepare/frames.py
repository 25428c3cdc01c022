"""A video's frames, read as ``prepare`` reads them."""

from pipelines.prepare.transcode import stream_frames


def read_frames(path, count, size, fit="stretch"):
    """Return a list of the kept frames, their rate, and the number of damaged frames."""
    return stream_frames(path, count, size, fit, lambda frames, fps: list(frames))
