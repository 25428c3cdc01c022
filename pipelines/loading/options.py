"""Options of a loader."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoaderOptions:
    """Options that affect a loader's speed and checks, but not which clips it loads.

    Attributes:
        threads: CPU threads for DALI and the reader. Packets for DALI are read by at most four threads; clips
            of raw, and on a CPU of h264 and vp9, are read and decoded by all.
        prefetch: Number of batches to prepare in advance.
        hw_decoder_load: Share of an mjpeg store's frames that a GPU's hardware JPEG decoder decodes, 0..1.
        check: Whether to verify the store's checksums while reading.
    """

    threads: int = 2
    prefetch: int = 2
    hw_decoder_load: float = 0.65
    check: bool = True


DEFAULTS = LoaderOptions()

MOST_WITH_GPU = 16


def default_threads(cores: int, device: str) -> int:
    """Return the number of threads where none is configured: one for each core, with a GPU at most 16.

    A GPU decodes by itself, and each of DALI's threads takes some of its memory and some pinned memory. On a
    CPU the threads decode.

    Args:
        cores: This process's share of the machine's cores.
        device: The type of the tensors' device: "cuda" or "cpu".
    """
    return min(cores, MOST_WITH_GPU) if device == "cuda" else cores
