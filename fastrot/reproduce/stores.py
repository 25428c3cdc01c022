"""The stores of the demo preset, generated when a table first needs them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastrot.data.prepared import fill_store
from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.dataset import SPLITS, DemoSpec, make_dataset, unlabelled_actions
from fastrot.synthetic.wide import make_wide
from fastrot.terminal.console import progress
from pipelines.cores import cores
from pipelines.layouts import Listing, read_layout
from pipelines.store.reading import FITS, Settings

SIZE = 64
LONG_SIZE = 40
"""Side of the frames for Tables 6 and 7, where clips have up to 64 frames."""


@dataclass(frozen=True)
class DemoSizes:
    """The amount of videos that the demo preset generates.

    Attributes:
        unlabelled: Videos in each of the two sets that replace Kinetics and Moments in Time.
        groups: Groups per class of each labelled set, which has 12 classes.
        clips_per_group: Videos per class and group.
        frames: Frames per video.
        size: Height and width of the frames in pixels.
        wide: Unlabelled 4:3 videos, for the comparison of stretch and crop.
        wide_groups: Groups per class of the labelled 4:3 videos.
        noise: Videos for the audit.
    """

    unlabelled: int = 1000
    groups: int = 18
    clips_per_group: int = 3
    frames: int = 68  # 64 differences need 65
    size: int = 80
    wide: int = 500
    wide_groups: int = 9
    noise: int = 600

    def look(self, second: bool) -> DemoSpec:
        """Return the spec of the first or second look; the second has new subjects, scenes and a horizon."""
        return DemoSpec(
            unlabelled=self.unlabelled,
            groups=self.groups,
            clips_per_group=self.clips_per_group,
            frames=self.frames,
            size=self.size,
            seed=1 if second else 0,
            horizon=second,
        )


_LOOKS = {"kinetics": False, "ucf101": False, "moments": True, "hmdb51": True}
LONG = "-long"

SCENES: Mapping[str, Mapping[str, Any]] = {
    "-horizon": {"horizon": True},
    "-moving": {"camera": "moving"},
}
"""The first look with the same subjects and actions, filmed otherwise, by the ending of its stores' names."""


class DemoStores:
    """Generates the demo preset's videos and stores below a folder; existing ones are kept."""

    def __init__(self, root: Path, sizes: DemoSizes):
        self._root = root
        self._sizes = sizes
        names = [*_LOOKS, *(f"{name}{LONG}" for name in ("kinetics", "ucf101", "hmdb51"))]
        endings = [*(f"-{fit}" for fit in FITS), *SCENES]
        names += [f"{name}{ending}" for name in ("kinetics", "ucf101") for ending in endings]
        self.paths = {name: str(root / "stores" / name) for name in names}

    def count(self, path: str, split: str, shots: int = 0) -> int | None:
        """Return how many videos a store's split has, or will have; None if the store is another's."""
        name = next((name for name, own in self.paths.items() if own == path), None)
        if name is None:
            return None
        base, _, kind = name.partition("-")
        sizes, classes = self._sizes, len(ACTIONS)
        if base not in ("ucf101", "hmdb51"):
            return sizes.wide if kind in FITS else sizes.unlabelled
        groups = sizes.wide_groups if kind in FITS else sizes.groups
        part = 1.0 if split == "all" else 2 / SPLITS if split.startswith("train") else 1 / SPLITS
        return shots * classes or round(classes * groups * sizes.clips_per_group * part)

    def make(self, name: str, path: Path) -> None:
        """Make one of the stores.

        Raises:
            FastrotError: It cannot be written, or the folder holds another.
        """
        base, _, kind = name.partition("-")
        listing = self._wide(base) if kind in FITS else self._look(base, f"-{kind}")
        settings = Settings(
            "raw",
            LONG_SIZE if f"-{kind}" == LONG else SIZE,
            None,
            "ucf101" if base in ("ucf101", "hmdb51") else "folder",
            tuple(listing.classes),
            fit="crop" if kind == "crop" else "stretch",
        )
        fill_store(listing, path, settings, f"prepare {path.name}")

    def _look(self, base: str, ending: str) -> Listing:
        second = _LOOKS[base]
        spec = dataclasses.replace(self._sizes.look(second), **SCENES.get(ending, {}))
        name = f"{'second' if second else 'first'}-look{ending if ending in SCENES else ''}"
        root = self._root / "videos" / name
        with progress(spec.unlabelled, f"make videos, {root.name}", "videos") as advance:
            paths = make_dataset(root, spec, workers=cores(), progress=advance.to)
        if base in ("ucf101", "hmdb51"):
            return read_layout(paths.labelled, "ucf101")
        return with_actions(read_layout(paths.unlabelled, "folder"), spec)

    def _wide(self, base: str) -> Listing:
        sizes = self._sizes
        spec = DemoSpec(
            unlabelled=sizes.wide,
            groups=sizes.wide_groups,
            clips_per_group=sizes.clips_per_group,
            frames=20,
            size=104,
            seed=2,
        )
        square = self._root / "videos" / "wide-look"
        with progress(spec.unlabelled, "make videos, wide-look", "videos") as advance:
            paths = make_wide(square, spec, workers=cores(), progress=advance.to)
        if base == "ucf101":
            return read_layout(paths.labelled, "ucf101")
        return with_actions(read_layout(paths.unlabelled, "folder"), spec)


def with_actions(listing: Listing, spec: DemoSpec) -> Listing:
    """Return the unlabelled videos with their actions, which only the supervised baseline uses."""
    actions = unlabelled_actions(spec)
    entries = [
        dataclasses.replace(entry, label=actions[entry.path.name], splits=("train",))
        for entry in listing.entries
    ]
    return Listing(entries, list(ACTIONS))
