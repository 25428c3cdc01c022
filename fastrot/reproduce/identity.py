"""Which videos a run or a measurement is about, by their content: equal wherever the store lies."""

from typing import Any

from fastrot.clips import digest, select_videos, subset
from fastrot.config import Config
from pipelines.store import Store


class ByContent:
    """Tells videos by the checksums in the stores' manifests; every store is opened once."""

    def __init__(self) -> None:
        self._stores: dict[str, Store] = {}
        self._splits: dict[tuple[str, str], int] = {}
        self._runs: dict[tuple[Any, ...], int] = {}

    def store(self, path: str) -> Store:
        """Return an open store.

        Raises:
            FastrotError: there is none.
        """
        if path not in self._stores:
            self._stores[path] = Store.open(path)
        return self._stores[path]

    def of_run(self, config: Config) -> int:
        """Return a checksum of the videos that a run trains on."""
        data = config.data
        labelled = config.task == "action"
        key = (data.store, data.split, labelled, data.shots, data.videos, config.seed)
        if key not in self._runs:
            store = self.store(data.store)
            videos = select_videos(
                store, data.split, labelled=labelled, shots=data.shots, seed=config.seed
            )
            if data.videos:
                videos = subset(store, videos, data.videos, config.seed)
            self._runs[key] = digest(store, videos)
        return self._runs[key]

    def of_split(self, store: str, split: str) -> int:
        """Return a checksum of a split's videos."""
        key = (store, split)
        if key not in self._splits:
            opened = self.store(store)
            self._splits[key] = digest(opened, opened.select(split))
        return self._splits[key]
