"""Check that the GPU's hardware JPEG decoder returns the CPU's pixels."""

from fastrot.doctor.check import Check, good, warning
from pipelines.store.reading import Store

NAME = "JPEG decoder"


def try_engine(store: Store | None = None) -> float | str | None:
    """Decode frames with the GPU's hardware decoder and with the CPU.

    Args:
        store: An mjpeg store whose frames to use. Without one, or if they are unreadable, ``sample_jpeg`` is
            used.

    Returns:
        The largest mean absolute difference of a frame, in levels of 255; an error; or None without a GPU.
    """
    import torch

    from pipelines.errors import FastrotError, first_line
    from pipelines.loading.jpeg_engine import (
        CROP,
        engine_differences,
        first_packets,
        sample_jpeg,
        spread,
    )

    if not torch.cuda.is_available():
        return None
    jpegs, crop = [], CROP
    if store is not None and store.codec == "mjpeg":
        crop = min(CROP, store.size)
        jpegs = list(first_packets(store, spread(store.select("all"))).values())
    try:
        device = torch.device("cuda", 0)
        return float(engine_differences(jpegs or [sample_jpeg()], crop, device).max())
    except (FastrotError, RuntimeError, ValueError, OSError) as error:
        return first_line(error)


def check_trial(found: float | str) -> Check:
    """Convert the result of ``try_engine`` on a GPU to a check."""
    from pipelines.loading.jpeg_engine import MOST_DIFFERENCE

    remedy = "train on mjpeg stores with data.hw_decoder_load=0: CUDA decodes all frames"
    if isinstance(found, str):
        return warning(NAME, f"the GPU's cannot be compared with the CPU: {found}", remedy)
    text = f"the GPU's pixels differ from the CPU's by {found:.2f} of 255 on average"
    if found > MOST_DIFFERENCE:
        return warning(NAME, text, remedy)
    return good(NAME, text)
