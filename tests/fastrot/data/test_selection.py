import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrot.config import Config
from fastrot.data.selection import (
    digest,
    few_shot,
    select_videos,
    short_clips,
    speed_note,
    subset,
)
from fastrot.data.training_data import training_data
from pipelines.errors import UsageError
from pipelines.plan import ClipSpec
from pipelines.store.manifest import current_lines
from pipelines.store.reading import Record, Store
from pipelines.store.writing import writing


@dataclass
class FakeStore:
    """Nine videos of class 0, five of class 1, six of class 2; the last two without a label."""

    path: Path = Path("store")
    codec: str = "raw"
    size: int = 136
    classes: list[str] = field(default_factory=lambda: ["a", "b", "c"])
    labels: Any = field(default_factory=lambda: np.array([0] * 9 + [1] * 5 + [2] * 6 + [-1] * 2))
    frames: Any = field(default_factory=lambda: np.arange(10, 32))
    crc32: Any = field(default_factory=lambda: np.arange(100, 122))

    def name(self, i: int) -> str:
        return f"video{i}"

    def select(self, split: str) -> Any:
        return {"all": np.arange(22), "train": np.arange(20), "none": np.arange(0)}[split]


def test_few_are_among_many_and_of_each_class() -> None:
    store: Any = FakeStore()
    videos = store.select("train")
    before: set[int] = set()
    for shots in (1, 2, 4, 5):
        chosen = few_shot(store, videos, shots, seed=3)
        assert np.bincount(store.labels[chosen]).tolist() == [shots] * 3
        assert sorted(chosen) == list(chosen)
        assert before < set(chosen)
        before = set(chosen)


def test_the_seed_decides_which() -> None:
    store: Any = FakeStore()
    draws = {tuple(few_shot(store, store.select("train"), 2, seed)) for seed in range(10)}
    assert len(draws) > 5
    assert len({tuple(few_shot(store, store.select("train"), 2, 1)) for _ in range(3)}) == 1


def splitmix64(seed: int, *words: int) -> int:
    """SplitMix64 chained over some words, in Python's integers."""
    bits, last = seed, 2**64 - 1
    for word in words:
        bits = ((bits ^ word) + 0x9E3779B97F4A7C15) & last
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & last
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & last
        bits ^= bits >> 31
    return bits


def test_the_draws_are_orders_of_hashes_and_so_the_same_with_every_numpy() -> None:
    store: Any = FakeStore()
    videos = store.select("train")

    def first(stream: int, word: int, mine: list[int], count: int) -> list[int]:
        hashes = {video: splitmix64(3, stream, word, at) for at, video in enumerate(mine)}
        return sorted(sorted(mine, key=hashes.__getitem__)[:count])

    expected = [
        *first(5, 0, list(range(9)), 2),
        *first(5, 1, list(range(9, 14)), 2),
        *first(5, 2, list(range(14, 20)), 2),
    ]
    assert few_shot(store, videos, 2, seed=3).tolist() == expected
    assert subset(store, videos, 7, seed=3).tolist() == first(6, 0, list(range(20)), 7)


def test_too_few_in_a_class_are_named() -> None:
    store: Any = FakeStore()
    with pytest.raises(UsageError, match=r"data\.shots is 6, but class b has only 5 videos"):
        few_shot(store, store.select("train"), 6, 0)


def test_subsets_are_nested_and_decided_by_the_seed() -> None:
    store: Any = FakeStore()
    videos = store.select("train")
    before: set[int] = set()
    for count in (3, 8, 13, 20):
        chosen = subset(store, videos, count, seed=3)
        assert len(chosen) == count
        assert sorted(chosen) == list(chosen)
        assert before < set(chosen)
        before = set(chosen)
    assert before == set(videos)
    assert len({tuple(subset(store, videos, 5, seed)) for seed in range(10)}) > 5
    with pytest.raises(
        UsageError, match=r"data\.videos is 21, but the split of .* has only 20 videos"
    ):
        subset(store, videos, 21, seed=0)


def test_videos_without_room_for_the_fastest_clip_are_counted() -> None:
    store: Any = FakeStore()  # of 10 to 31 frames
    videos = store.select("all")
    spec = ClipSpec(frames=4, speeds=(1, 4))  # 13 frames
    assert speed_note(store, videos, spec).startswith(
        "3 of 22 videos are shorter than the 13 frames of a clip at the fastest of rotation.speeds: "
    )
    assert short_clips(store, videos, spec) == "reflect"
    assert speed_note(store, videos, ClipSpec(frames=4, speeds=(1, 3))) == ""
    assert short_clips(store, videos, ClipSpec(frames=4, speeds=(1, 3))) == ""
    assert speed_note(store, videos, ClipSpec(frames=40)) == ""  # without speeds, nothing to say
    with pytest.raises(UsageError, match="every video of the split is shorter than the 34 frames"):
        speed_note(store, videos, ClipSpec(frames=4, speeds=(1, 11)))


def test_labels_are_asked_for_where_needed() -> None:
    store: Any = FakeStore()
    assert len(select_videos(store, "all", labelled=False, shots=0, seed=0)) == 22
    with pytest.raises(
        UsageError, match=r"2 videos of the split 'all' have no action label.*video20"
    ):
        select_videos(store, "all", labelled=True, shots=0, seed=0)
    with pytest.raises(UsageError, match="have no action label"):
        select_videos(store, "all", labelled=False, shots=1, seed=0)
    with pytest.raises(UsageError, match="'none' has no videos"):
        select_videos(store, "none", labelled=False, shots=0, seed=0)


def test_the_digest_tells_videos_apart_not_places() -> None:
    store, moved, recut = FakeStore(), FakeStore(path=Path("elsewhere")), FakeStore()
    recut.frames = recut.frames + 1
    videos = np.arange(5)
    assert digest(store, videos) == digest(moved, videos)
    assert digest(store, videos) != digest(recut, videos)
    for other in (
        FakeStore(size=64),
        FakeStore(codec="mjpeg"),
        FakeStore(classes=["b", "a", "c"]),
        FakeStore(crc32=np.arange(22)),
        FakeStore(labels=np.ones(22, dtype=int)),
    ):
        assert digest(store, videos) != digest(other, videos)
    assert digest(store, videos) != digest(store, np.arange(6))


def test_corrected_labels_change_the_digest(
    make_store: Callable[..., Store], tmp_path: Path
) -> None:
    """A run that trained on the old labels is not resumed on the new ones."""
    shutil.copytree(make_store("raw").path, tmp_path / "store")
    old = Store.open(tmp_path / "store")
    line = current_lines(old.path)[0]
    with writing(old.path, old.settings) as writer:
        writer.supersede([Record(**{**line, "label": "class1", "revision": 1})])
    new = Store.open(old.path)
    assert (old.labels[0], new.labels[0]) == (0, 1)
    assert digest(old, old.select("all")) != digest(new, new.select("all"))
    assert digest(old, old.select("test1")) == digest(new, new.select("test1"))


def test_a_part_of_the_videos_is_another_training_set(tiny_config: Callable[..., Config]) -> None:
    whole = training_data(tiny_config())
    part = training_data(tiny_config(data={"videos": 2}))
    assert (whole.videos, part.videos) == (4, 2)
    assert whole.digest != part.digest
    assert part.digest == training_data(tiny_config(data={"videos": 2})).digest


def test_shots_and_videos_exclude_each_other(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(UsageError, match="cannot be combined"):
        tiny_config(data={"videos": 2, "shots": 1})
