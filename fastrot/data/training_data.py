"""The training data of a run: clips of a store, or windows of unprepared videos."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fastrot.config import Config
from fastrot.data.loaders import clip_spec, finished, options_of, train_loader, training_spec
from fastrot.data.selection import digest, select_videos, short_clips, speed_note, subset
from fastrot.distributed.runtime import Runtime
from pipelines.errors import UsageError
from pipelines.layouts import read_layout
from pipelines.loading.batches import BatchLoader
from pipelines.loading.unprepared import ReaderLoader
from pipelines.plan import WindowPlan
from pipelines.shares import Share
from pipelines.store.reading import Store


class TrainingData(Protocol):
    """Source of a run's batches.

    Attributes:
        classes: Action classes; empty without labels.
        videos: Number of training videos.
        digest: Checksum of the videos, which a resumed run must match.
        short_clips: How clips longer than their video are padded; "" if there are none.
        note: Log line about the videos, or "".
        store: Store used for evaluation during training; None if there is no store.
    """

    classes: list[str]
    videos: int
    digest: int
    short_clips: str
    note: str
    store: Store | None

    def loader(
        self, runtime: Runtime, *, start_step: int, steps: int, positions: Sequence[bytes] = ()
    ) -> BatchLoader:
        """Return this process's micro-batches of the steps after ``start_step`` up to ``steps``.

        Args:
            runtime: This process.
            start_step: Number of completed steps.
            steps: Total number of steps of the run.
            positions: The ``position`` of each process's loader after ``start_step`` steps.

        Raises:
            UsageError: The batch is not divisible by the processes, or the crop is too large.
        """


class StoreData:
    """The planned clips of a store's split."""

    def __init__(self, config: Config):
        self._config = config
        self.store: Store | None
        self.store = self._store = Store.open(config.data.store)
        self._videos = select_videos(
            self._store,
            config.data.split,
            labelled=config.task == "action",
            shots=config.data.shots,
            seed=config.seed,
        )
        if config.data.videos:
            self._videos = subset(self._store, self._videos, config.data.videos, config.seed)
        self.classes = self._store.classes
        self.videos = len(self._videos)
        self.digest = digest(self._store, self._videos)
        spec = training_spec(config)
        self.short_clips = short_clips(self._store, self._videos, spec)
        self.note = speed_note(self._store, self._videos, spec)

    def loader(
        self, runtime: Runtime, *, start_step: int, steps: int, positions: Sequence[bytes] = ()
    ) -> BatchLoader:
        """Return the micro-batches that the clip plan assigns to this process."""
        return train_loader(
            self._config, self._store, self._videos, runtime, start_step=start_step, steps=steps
        )


class ReaderData:
    """Every window of the unprepared videos in a folder, in the order of DALI's reader.

    Raises:
        UsageError: The config needs what unprepared videos do not have: labels, splits or epochs.
    """

    def __init__(self, config: Config):
        data = config.data
        refused = {
            "task=action": config.task == "action",
            f"data.split={data.split}": data.split != "all",
            f"data.eval_split={data.eval_split}": data.eval_split is not None,
            f"data.shots={data.shots}": data.shots > 0,
            f"data.videos={data.videos}": data.videos > 0,
            "train.epochs": config.train.epochs is not None,
            f"rotation.speeds={config.rotation.speeds}": bool(config.rotation.speeds),
        }
        for what, asked in refused.items():
            if asked:
                raise UsageError(
                    f"{what} needs a prepared store: data.source=reader has no labels, splits, speeds or "
                    "epochs (set train.iterations)"
                )
        self._config = config
        self._files = [entry.path for entry in read_layout(Path(data.store), "folder").entries]
        self.store: Store | None = None
        self.classes: list[str] = []
        self.videos = len(self._files)
        self.digest = zlib.crc32(
            "\n".join(path.name for path in self._files).encode(errors="surrogatepass")
        )
        self.note = ""
        self.short_clips = ""  # DALI's reader has no windows that extend past the end of a video

    def loader(
        self, runtime: Runtime, *, start_step: int, steps: int, positions: Sequence[bytes] = ()
    ) -> BatchLoader:
        """Return an endless loader; the trainer takes as many batches as it needs."""
        data, train = self._config.data, self._config.train
        share = Share(runtime.rank, runtime.world, train.accumulate)
        if positions and len(positions) != runtime.world:
            raise UsageError(
                f"data.source=reader resumes only with the same number of processes: it was "
                f"{len(positions)}, and is {runtime.world} now"
            )
        loader = ReaderLoader(
            self._files,
            WindowPlan(clip_spec(data), data.size, data.step, self._config.seed, data.flip),
            batch=share.micro_batch(train.batch),
            device=runtime.device,
            share=share,
            options=options_of(data, runtime),
            first=start_step * train.accumulate,
            position=positions[runtime.rank] if positions else b"",
        )
        return finished(loader, data)


def training_data(config: Config) -> TrainingData:
    """Return the training data of a config.

    Raises:
        FastrotError: The store or the folder cannot be read.
        UsageError: The store or folder does not have what the config needs.
    """
    return ReaderData(config) if config.data.source == "reader" else StoreData(config)
