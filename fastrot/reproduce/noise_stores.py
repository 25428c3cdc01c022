"""The stores of the audit: noise that went through each codec and each way of making frames square."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastrot.data.prepared import fill_store
from fastrot.synthetic.noise import TEST_SHARE, Look, noise_videos
from pipelines.prepare.preparation import choose_quality
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Fit, Settings

Shape = Callable[[int], tuple[int, int]]
"""Returns the height and width of the videos for a store's frames of this size."""


def _same(size: int) -> tuple[int, int]:
    """No resize, so that only the codec is tested."""
    return size, size


def _twice(size: int) -> tuple[int, int]:
    return 2 * size, 2 * size


def _four_to_three(size: int) -> tuple[int, int]:
    height = size * 5 // 4 // 2 * 2
    return height, height * 4 // 3 // 2 * 2


def _wider(size: int) -> tuple[int, int]:
    """2 % wider than high, exactly, and enlarged, since a reduction would hide most of the difference."""
    height = max(size // 50, 1) * 50
    return height, height * 51 // 50


@dataclass(frozen=True)
class Kind:
    """A store of noise: how its videos were made, and the settings of ``fastrot prepare``."""

    codec: str = "raw"
    fit: Fit = "stretch"
    look: Look = "plain"
    shape: Shape = _same


KINDS = {
    **{codec: Kind(codec) for codec in CODECS},
    "half": Kind(shape=_twice),
    "stretch": Kind(fit="stretch", shape=_four_to_three),
    "crop": Kind(fit="crop", shape=_four_to_three),
    "wider": Kind(shape=_wider),
    "border": Kind(look="border"),
    "420": Kind(look="420"),
    "420-equal": Kind(look="420-equal"),
}


class NoiseStores:
    """Generates the noise stores of the audit below a folder."""

    def __init__(self, root: Path, *, count: int, frames: int, size: int):
        self._root = root
        self._count, self._frames, self._size = count, frames, size
        self.paths = {f"noise-{kind}": str(root / "stores" / f"noise-{kind}") for kind in KINDS}

    def count(self, path: str, split: str, shots: int = 0) -> int | None:
        """Return how many videos a store's split has, or will have; None if the store is another's."""
        if path not in self.paths.values():
            return None
        tests = math.ceil(self._count * TEST_SHARE)
        return tests if split == "test" else self._count - tests

    def make(self, name: str, path: Path) -> None:
        """Make one of the stores.

        Raises:
            FastrotError: It cannot be written, or the folder holds another.
        """
        kind = KINDS[name.removeprefix("noise-")]
        height, width = kind.shape(self._size)
        listing = noise_videos(
            self._root / "videos" / f"noise-{kind.look}-{width}x{height}",
            count=self._count,
            frames=self._frames,
            height=height,
            width=width,
            look=kind.look,
        )
        quality = choose_quality(path, kind.codec, None)
        settings = Settings(kind.codec, self._size, None, "folder", quality=quality, fit=kind.fit)
        fill_store(listing, path, settings, f"prepare {path.name}")
