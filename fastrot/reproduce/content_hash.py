"""Identify the clips of a run or a measurement by the videos' content, wherever the store is located."""

from typing import Any

from fastrot.config import Config, DataConfig
from fastrot.data.loaders import clip_spec, training_spec
from fastrot.data.selection import Ints, digest, select_videos, short_clips, subset
from pipelines.plan import ClipSpec
from pipelines.store.reading import Store


class ByContent:
    """Identifies videos by the checksums in the stores' manifests; opens every store once."""

    def __init__(self) -> None:
        self._stores: dict[str, Store] = {}
        self._splits: dict[tuple[str, str, int], Any] = {}
        self._runs: dict[tuple[Any, ...], Any] = {}

    def store(self, path: str) -> Store:
        """Return an open store.

        Raises:
            FastrotError: The store does not exist or is unreadable.
        """
        if path not in self._stores:
            self._stores[path] = Store.open(path)
        return self._stores[path]

    def of_run(self, config: Config) -> Any:
        """Return a value that identifies the clips that a run trains on."""
        data = config.data
        labelled = config.task == "action"
        spec = training_spec(config)
        key = (data.store, data.split, labelled, data.shots, data.videos, config.seed, spec.span)
        if key not in self._runs:
            store = self.store(data.store)
            videos = select_videos(
                store, data.split, labelled=labelled, shots=data.shots, seed=config.seed
            )
            if data.videos:
                videos = subset(store, videos, data.videos, config.seed)
            self._runs[key] = _identity(store, videos, spec)
        return self._runs[key]

    def of_split(self, store: str, split: str, data: DataConfig) -> Any:
        """Return a value that identifies the clips of a split, with the clip length of the config."""
        spec = clip_spec(data)
        key = (store, split, spec.span)
        if key not in self._splits:
            opened = self.store(store)
            self._splits[key] = _identity(opened, opened.select(split), spec)
        return self._splits[key]


def _identity(store: Store, videos: Ints, spec: ClipSpec) -> Any:
    """Return a checksum of the videos and, if some are shorter than a clip, how short clips are filled."""
    checksum, filled = digest(store, videos), short_clips(store, videos, spec)
    return [checksum, filled] if filled else checksum
