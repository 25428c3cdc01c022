"""The attention maps of three networks, and how much they agree over a split (section 4.4).

An untrained network is the control: where its maps are those of the trained network, the maps show the
input, and not what was learnt.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrot.analysis.attention import Rotated, attend
from fastrot.analysis.correlations import CUES, OVER, correlate
from fastrot.analysis.untrained import measure_first_norm, untrained_like
from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.intervals import Estimate, mean_of
from fastrot.evaluation.trained import Trained, load_trained
from fastrot.models.network import transfer_network
from fastrot.models.weight_files import read_weights, start_from
from pipelines.store.reading import Store

OURS, SUPERVISED, UNTRAINED = "3DRotNet", "supervised", "untrained"
MOST = 256  # videos of the correlations
SHEETS = 4  # of them are drawn
FRAMES = 3  # of each clip are drawn
BATCH = 8
RULE = (
    "The first BatchNorm of every network has the statistics of these clips in all four rotations, so only "
    "the weights differ. The untrained network was initialised with another seed than 3DRotNet."
)


@dataclass(frozen=True)
class Study:
    """Three networks on the videos of a split.

    Attributes:
        networks: The networks by name: ours, the supervised one, the untrained one.
        store: The store of the videos.
        split: The split.
        among: The number of videos of the split.
        videos: N indices of the videos that were measured.
        correlations: For each pair of names, the last being the cue's, (N, 2) correlations of the maps over
            what ``OVER`` says.
    """

    networks: dict[str, Trained]
    store: Store
    split: str
    among: int
    videos: Ints
    correlations: dict[tuple[str, str], NDArray[np.float64]]

    @property
    def modality(self) -> Any:
        """The modality of the clips."""
        return self.networks[OURS].config.data.modality

    def mean(self, pair: tuple[str, str], over: int) -> Estimate | None:
        """Return the mean correlation over the videos that have one, or None if none has.

        Args:
            pair: The names.
            over: Index in ``OVER``.
        """
        values = self.correlations[pair][:, over]
        known = values[np.isfinite(values)].tolist()
        return mean_of(known) if known else None

    @property
    def notes(self) -> tuple[str, ...]:
        """The correlations, and how they were measured."""
        cue = CUES[self.modality]
        pairs = ((OURS, UNTRAINED), (OURS, SUPERVISED), (SUPERVISED, UNTRAINED), (OURS, cue))
        said = [
            f"{one} with {other} {_text(self.mean((one, other), 0))} "
            f"({_text(self.mean((one, other), 1))})"
            for one, other in pairs
        ]
        return (
            f"Correlations of the maps over {OVER[0]} of a clip (in brackets: over {OVER[1]}), averaged over "
            f"four rotations and {len(self.videos)} of the {self.among} videos of {self.split}, ± half of "
            f"the 95 % confidence interval: {'; '.join(said)}.",
            *self._left_out(),
            f"{cue} is averaged over boxes of the kernels' size.",
            RULE,
        )

    def _left_out(self) -> list[str]:
        """Return a line if some videos have no correlation, such as a still video in differences."""
        known = [np.isfinite(values).all(axis=1) for values in self.correlations.values()]
        count = int((~np.logical_and.reduce(known)).sum())
        if not count:
            return []
        return [
            f"In {count} of these videos a map is constant: averages over its correlations are without them."
        ]

    def plain(self) -> dict[str, Any]:
        """Return all correlations for JSON, with each video's; null where a map is constant."""
        names = [self.store.name(video) for video in self.videos.tolist()]
        data = self.networks[OURS].config.data
        return {
            "store": str(self.store.path),
            "split": self.split,
            "videos": len(names),
            "videos_of_the_split": self.among,
            "clip": {
                "modality": data.modality,
                "frames": data.frames,
                "stride": data.stride,
                "crop": data.crop,
            },
            "rule": RULE,
            "correlations": [
                {
                    "between": list(pair),
                    "over": what,
                    **(found.plain() if (found := self.mean(pair, over)) else {}),
                    "of_each_video": {
                        name: value if np.isfinite(value) else None
                        for name, value in zip(names, values[:, over].tolist(), strict=True)
                    },
                }
                for pair, values in self.correlations.items()
                for over, what in enumerate(OVER)
            ],
        }

    def sheets(self, runtime: Runtime) -> Iterator[tuple[str, list[Rotated]]]:
        """Yield the name and the four rotations of some videos, spread evenly over those measured."""
        drawn = spread(self.videos, SHEETS)
        networks = list(self.networks.values())
        views = attend(networks, self.store, drawn, runtime, count=FRAMES)
        for video, rotations in zip(drawn.tolist(), views, strict=True):
            yield self.store.name(video), rotations


def study(ours: Path, rival: Path, store: Store, split: str, runtime: Runtime) -> Study:
    """Measure the correlations of the maps of our network, a supervised and an untrained one.

    Args:
        ours: Checkpoint of our network.
        rival: Checkpoint of the supervised network, or its file in Hara's format.
        store: The store of the videos.
        split: The split.
        runtime: The process.

    Raises:
        FastrotError: A file or a clip cannot be read.
    """
    mine = load_trained(ours, runtime)
    networks = {
        OURS: mine,
        SUPERVISED: _load_supervised(rival, mine, runtime),
        UNTRAINED: untrained_like(mine, runtime),
    }
    every = store.select(split)
    videos = spread(every, MOST)
    measure_first_norm(list(networks.values()), store, videos, runtime, batch=BATCH)
    found = correlate(networks, store, videos, runtime, batch=BATCH)
    return Study(networks, store, split, len(every), videos, found)


def spread(videos: Ints, count: int) -> Ints:
    """Return at most ``count`` of the videos, spread evenly, in their order."""
    places = np.linspace(0, len(videos) - 1, min(count, len(videos))).round().astype(np.int64)
    return videos[places]


def _load_supervised(path: Path, ours: Trained, runtime: Runtime) -> Trained:
    """Load a fastrot checkpoint, or a file in Hara's format with the shape and input of our network."""
    if read_weights(path).form == "fastrot":
        return load_trained(path, runtime)
    model = ours.config.model
    network = transfer_network(2, depth=model.depth, width=model.width, shortcut=model.shortcut)
    start_from(path, network)
    runtime.place(network)
    return Trained(network, ours.task, ours.config)


def _text(found: Estimate | None) -> str:
    if found is None:
        return "not defined: a map is constant"
    return f"{found.mean:.3f}" + (
        f" ± {found.half_width:.3f}" if found.half_width is not None else ""
    )
