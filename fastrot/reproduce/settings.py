"""The two presets: the paper's sizes, and sizes for two CPU cores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastrot.reproduce.presets import Changes, Preset
from fastrot.reproduce.stores import DemoSizes, DemoStores, NoiseStores
from pipelines.errors import UsageError
from pipelines.store.codecs import CODECS
from pipelines.store.reading import FITS, Store

PAPER_STORES = ("kinetics", "moments", "ucf101", "hmdb51")
FIT_STORES = tuple(f"{name}-{fit}" for name in ("kinetics", "ucf101") for fit in FITS)
FRACTIONS = {100: 100_000, 200: 200_000, 400: 400_000}
ALL_VIDEOS = 480  # thousands: the total of these fractions

# Sizes of the official lists, so that the cost of a plan can be computed without the videos.
OFFICIAL_VIDEOS = {
    ("ucf101", "all"): 13_320,
    ("ucf101", "train1"): 9_537,
    ("ucf101", "test1"): 3_783,
    ("ucf101", "train2"): 9_586,
    ("ucf101", "test2"): 3_734,
    ("ucf101", "train3"): 9_624,
    ("ucf101", "test3"): 3_696,
    ("hmdb51", "all"): 6_766,
    **{("hmdb51", f"train{split}"): 3_570 for split in (1, 2, 3)},
    **{("hmdb51", f"test{split}"): 1_530 for split in (1, 2, 3)},
}
OFFICIAL_CLASSES = {"ucf101": 101, "hmdb51": 51}


class Setting:
    """A preset and the generators of its videos.

    Attributes:
        preset: The configs of the runs.
    """

    def __init__(self, preset: Preset, makers: Sequence[DemoStores | NoiseStores]):
        self.preset = preset
        self._makers = makers

    def make(self, paths: set[str]) -> None:
        """Generate those of these stores that the preset generates, and check that the others exist.

        Raises:
            FastrotError: A store cannot be generated, or is missing.
        """
        made: set[str] = set()
        for maker in self._makers:
            for name, path in maker.paths.items():
                if path in paths:
                    maker.make(name, Path(path))
            made |= set(maker.paths.values())
        for path in sorted(paths - made):
            Store.open(path)

    def missing(self, paths: set[str]) -> list[str]:
        """Return which of the stores are missing and cannot be generated."""
        made = {path for maker in self._makers for path in maker.paths.values()}
        return sorted(path for path in paths - made if not (Path(path) / "store.json").exists())

    def videos(self, store: str, split: str, shots: int = 0) -> int | None:
        """Return the number of videos of a split, from the store if it exists, else the official lists."""
        if (Path(store) / "store.json").exists():
            opened = Store.open(store)
            if split in ("all", *opened.splits):
                chosen = opened.select(split)
                labels = set(opened.labels[chosen].tolist()) if shots else set()
                return shots * len(labels) if shots else len(chosen)
        for maker in self._makers:
            count = maker.count(store, split, shots)
            if count is not None:
                return count
        name = next((n for n, path in self.preset.stores.items() if path == store), "")
        base = name.split("-")[0]
        if shots and base in OFFICIAL_CLASSES:
            return shots * OFFICIAL_CLASSES[base]
        return OFFICIAL_VIDEOS.get((base, split))


def paper_setting(
    out: Path, stores: Mapping[str, str], seeds: int | None, changes: Changes
) -> Setting:
    """Return the paper's preset with the user's stores.

    Raises:
        UsageError: The name of a store is unknown.
    """
    known = (*PAPER_STORES, *FIT_STORES)
    for name in stores:
        if name not in known:
            raise UsageError(f"unknown store {name!r} in --store: choose one of {', '.join(known)}")
    noise = NoiseStores(out / "data", count=240, frames=20, size=136)
    paths = {name: f"stores/{name}" for name in known}
    # The default stores are stretched.
    paths |= {
        f"{name}-stretch": stores.get(name, f"stores/{name}") for name in ("kinetics", "ucf101")
    }
    preset = Preset(
        name="paper",
        stores={**paths, **stores, **noise.paths},
        seeds=range(seeds or 1),
        modality="rgb",
        clips=10,
        fractions=FRACTIONS,
        shots=(1, 5, 10, 20, 0),
        probe_shots=0,
        checkpoints=(1, 3, 6, 9, 13),  # of 13: after 8, 24, 48, 72 and 104 thousand iterations
        noise_codecs=tuple(CODECS),
        about="The paper's sizes. The paper does not describe its test protocol. Ours averages the softmax "
        "of ten uniformly spaced centre clips per video.",
        changes=changes,
    )
    return Setting(preset, [noise])


def demo_setting(out: Path, sizes: DemoSizes, seeds: int | None, changes: Changes) -> Setting:
    """Return the demo's preset, which generates its videos below ``out``."""
    demo = DemoStores(out / "data", sizes)
    noise = NoiseStores(out / "data", count=sizes.noise, frames=20, size=64)
    preset = Preset(
        name="demo",
        stores={**demo.paths, **noise.paths},
        seeds=range(seeds or 3),
        modality="dif",
        clips=3,
        fractions={k: round(sizes.unlabelled * k / ALL_VIDEOS) for k in FRACTIONS},
        shots=(1, 5, 10, 20, 0),
        probe_shots=10,
        checkpoints=(1, 2, 3, 4, 5),
        noise_codecs=tuple(CODECS),
        about="Generated videos of figures, an eighth of the network's width, a few minutes of training: "
        "these numbers say nothing about UCF101 or HMDB51, whose names denote two generated sets here. "
        "Kinetics and MT (Moments in Time) denote two generated pools of different appearance. Where the "
        "paper uses RGB, frame differences (DIF) are used, except in Tables 6 and 7 and the rows named RGB.",
        changes=changes,
    )
    return Setting(preset, [demo, noise])


def read_sizes(overrides: Mapping[str, Any]) -> DemoSizes:
    """Return the demo's sizes with some of them changed.

    Raises:
        UsageError: A key is unknown, or a value is not a whole number greater than 0.
    """
    known = DemoSizes.__dataclass_fields__
    values = {}
    for key, text in overrides.items():
        if key not in known:
            raise UsageError(f"unknown key demo.{key}: choose one of {', '.join(known)}")
        if not str(text).isdigit() or int(text) < 1:
            raise UsageError(f"demo.{key} is {text!r}: it must be a whole number greater than 0")
        values[key] = int(text)
    return DemoSizes(**values)
