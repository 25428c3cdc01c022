"""Demo videos that are wider than high, to compare stretched frames with cropped ones."""

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from fastrot.synthetic.dataset import DemoPaths, DemoSpec, make_dataset
from fastrot.synthetic.render import Frames
from fastrot.synthetic.video import write_video


def make_wide(
    root: Path,
    spec: DemoSpec,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DemoPaths:
    """Generate a demo set with 4:3 frames: the square set without the top and bottom eighths.

    Both sets are stored below ``root``, in ``square`` and ``wide``. Existing videos are kept.

    Raises:
        FastrotError: A set cannot be written, or the folder contains a set made with other settings.
    """
    square = make_dataset(root / "square", spec, workers=workers, progress=progress)
    wide = DemoPaths(root / "wide")
    for source in sorted(square.root.rglob("*.avi")):
        path = wide.root / source.relative_to(square.root)
        if not path.exists():
            _cut(source, path, spec.fps)
    shutil.copytree(square.splits, wide.splits, dirs_exist_ok=True)
    return wide


def _cut(source: Path, path: Path, fps: int) -> None:
    with av.open(str(source)) as container:
        frames: Frames = np.stack(
            [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        ).astype(np.uint8)
    side = frames.shape[1]
    top = side // 8
    height = side * 3 // 4 // 2 * 2
    write_video(path, frames[:, top : top + height], fps=fps)
