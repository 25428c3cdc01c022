"""The demo's data: the built-in set, or the user's own videos, as stores ready for training."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastrot.data.prepared import fill_store
from fastrot.synthetic.dataset import DemoSpec, make_dataset
from fastrot.terminal.console import progress
from pipelines.cores import cores
from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.layouts import Entry, Listing, read_layout
from pipelines.store.reading import Settings, Store

SIZE = 64
OWN_FRAMES = 64
TEST_SHARE = 0.3


@dataclass(frozen=True)
class DemoData:
    """Where the demo trains and tests.

    Rotation is learnt on ``pool_split`` of ``pool`` and measured on ``test_split`` of ``labelled``; actions
    are learnt on ``train_split`` of it, if it has labels.
    """

    pool: Path
    pool_split: str
    labelled: Path
    train_split: str
    test_split: str
    about: str

    @property
    def has_actions(self) -> bool:
        """Whether there are classes to transfer to."""
        return len(Store.open(self.labelled).classes) > 1


def builtin_data(out: Path, spec: DemoSpec) -> DemoData:
    """Make the built-in set below ``out`` (what is there already is kept) and prepare its two stores.

    Raises:
        FastrotError: ``out`` cannot be written, or holds a set of another make.
    """
    workers = cores()
    total = spec.unlabelled  # the true total comes with the first call
    with progress(total, "make videos", "videos") as advance:
        paths = make_dataset(out / "videos", spec, workers=workers, progress=advance.to)
    pool, labelled = out / "store-unlabelled", out / "store-labelled"
    _prepare(read_layout(paths.unlabelled, "folder"), pool, "folder", None)
    _prepare(read_layout(paths.labelled, "ucf101"), labelled, "ucf101", None)
    return DemoData(
        pool=pool,
        pool_split="all",
        labelled=labelled,
        train_split="train1",
        test_split="test1",
        about="the built-in set: subjects and scenes of the test videos are unseen in training",
    )


def own_data(source: Path, layout: str, out: Path, lists: Sequence[Path] = ()) -> DemoData:
    """Prepare the user's own videos. Their train and test splits are used, or made where there are none.

    Raises:
        FastrotError: the source is not of the layout, or leaves no video to train on or to test on.
    """
    _claim(out, source, layout)
    listing = read_layout(source, layout, lists)
    train, test = _splits(listing)
    about = f"{source}: splits {train} and {test}"
    if train is None or test is None:
        listing = dataclasses.replace(listing, entries=_split_by_name(listing.entries))
        train, test = "train", "test"
        about = (
            f"{source}: {TEST_SHARE:.0%} of each class set aside for testing, by a hash of the name"
        )
    listed = [split for entry in listing.entries for split in entry.splits]
    _require_both(source, listed.count(train), listed.count(test))
    store = out / "store"
    _prepare(listing, store, layout, OWN_FRAMES)
    prepared = Store.open(store).splits
    _require_both(source, prepared.get(train, 0), prepared.get(test, 0))
    return DemoData(store, train, store, train, test, about)


def _require_both(source: Path, train: int, test: int) -> None:
    if train and test:
        return
    raise FastrotError(
        f"{source} has too few videos for the demo, which trains on some and tests on others of the same "
        f"class: {train} to train on, {test} to test on. It needs two readable videos in one folder to run "
        "at all, and about 70 to measure accuracies"
    )


def _claim(out: Path, source: Path, layout: str) -> None:
    """Keep one folder for one source: two would end up in one store."""
    stamp = out / "source.txt"
    text = f"{source.resolve()} {layout}\n"
    if stamp.exists() and stamp.read_text() != text:
        raise FastrotError(
            f"{out} holds the demo of {stamp.read_text().strip()}: choose another --out for {source}"
        )
    if (out / "videos").exists():
        raise FastrotError(f"{out} holds the built-in demo: choose another --out for {source}")
    write_file(stamp, text)


def _prepare(listing: Listing, out: Path, layout: str, frames: int | None) -> None:
    # raw: the demo's videos are small, and decoding would take time from training.
    settings = Settings("raw", SIZE, frames, layout, tuple(listing.classes))
    fill_store(listing, out, settings)


def _splits(listing: Listing) -> tuple[str | None, str | None]:
    """Return the first splits whose names begin with train and test (or val)."""
    names = sorted({split for entry in listing.entries for split in entry.splits})

    def first(*kinds: str) -> str | None:
        return next((name for kind in kinds for name in names if name.startswith(kind)), None)

    return first("train"), first("test", "val")


def _split_by_name(entries: list[Entry]) -> list[Entry]:
    """Put TEST_SHARE of each class (at least one of two or more) into test, the rest into train."""
    by_class: dict[str | None, list[Entry]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, []).append(entry)
    split = []
    for members in by_class.values():
        members.sort(key=lambda entry: hashlib.sha256(entry.name.encode()).digest())
        tests = min(max(1, round(TEST_SHARE * len(members))), len(members) - 1)
        for i, entry in enumerate(members):
            split.append(dataclasses.replace(entry, splits=("test" if i < tests else "train",)))
    return split
