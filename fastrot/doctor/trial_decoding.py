"""Check that each codec of a store can be decoded, by decoding a few frames."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastrot.doctor.check import Check, good, missing
from pipelines.store.codecs import CODECS

SIZE = 144  # NVDEC decodes VP9 from 128 pixels
FRAMES = 4


def try_codec(codec: str) -> str:
    """Write a store with one small video and load a clip of it. Return the error, or "".

    This runs on the GPU if torch has one, otherwise on the CPU.
    """
    import torch

    from pipelines.errors import FastrotError, first_line
    from pipelines.loading.loader import Loader
    from pipelines.plan import ClipSpec, TrainPlan
    from pipelines.prepare.encode import encode
    from pipelines.store.reading import Settings, Store
    from pipelines.store.writing import writing

    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    ramp = np.linspace(0, 255, SIZE, dtype=np.uint8)
    frames = [np.repeat(np.tile(ramp, (SIZE, 1))[..., None], 3, axis=2)] * FRAMES
    quality = CODECS[codec].quality
    with tempfile.TemporaryDirectory() as folder:
        try:
            with writing(
                Path(folder), Settings(codec, SIZE, None, "folder", (), quality)
            ) as writer:
                writer.add("ramp", encode(frames, codec, quality, 25.0), label=None, splits=())
            store = Store.open(folder)
            plan = TrainPlan(store, store.select("all"), ClipSpec(FRAMES, 1, SIZE), seed=0, flip=0)
            with Loader(store, plan, [(0, 1)], batch=1, device=device) as loader:
                clips = next(loader).clips
        # The errors of FFmpeg, DALI and CUDA have no common base except these.
        except (FastrotError, RuntimeError, ValueError, OSError) as error:
            return first_line(error)
    away = (clips[0, 0, :, :, 1].cpu().float() - torch.from_numpy(frames[0][..., 1])).abs().mean()
    return (
        ""
        if away < 8
        else f"the decoded image is wrong: it differs by {away:.0f} of 255 on average"
    )


def check_codecs(errors: Mapping[str, str], store_codec: str | None = None) -> list[Check]:
    """Convert the results of ``try_codec`` to checks.

    Args:
        errors: Error per codec; "" if it works.
        store_codec: The codec that must work; None: at least one must work.
    """
    checks = []
    none_works = all(errors.values())
    for codec, error in errors.items():
        if not error:
            checks.append(good(f"codec {codec}", "can be decoded"))
            continue
        stops = none_works if store_codec is None else codec == store_codec
        cost = f"no training here on {codec} stores: prepare them with another codec"
        if CODECS[codec].video:
            cost += (
                "; on a GPU in a container, set NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
            )
        checks.append(missing(f"codec {codec}", error, cost, stops=stops))
    return checks
