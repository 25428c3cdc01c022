"""The data of the demo: the built-in set or the user's own videos, as prepared stores."""

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
    """The stores and splits that the demo trains and tests on.

    Rotation is trained on ``pool_split`` of ``pool`` and tested on ``test_split`` of ``labelled``. Actions
    are trained on ``train_split`` of ``labelled``, if it has labels.
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
    """Generate what is missing of the built-in set below ``out``, and prepare its two stores.

    Raises:
        FastrotError: ``out`` cannot be written, or contains a set made with other settings.
    """
    workers = cores()
    total = spec.unlabelled  # the first call gives the true total
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
        about="the built-in set; subjects and scenes of the test videos are not used in training",
    )


def own_data(source: Path, layout: str, out: Path, lists: Sequence[Path] = ()) -> DemoData:
    """Prepare the user's own videos; train and test splits are made if the layout has none.

    Raises:
        FastrotError: The source does not have this layout, or has no video to train on or none to test on.
    """
    _claim(out, source, layout)
    listing = read_layout(source, layout, lists)
    train, test = _splits(listing)
    about = f"{source}: splits {train} and {test}"
    if train is None or test is None:
        listing = dataclasses.replace(listing, entries=_split_by_name(listing.entries))
        train, test = "train", "test"
        about = (
            f"{source}: {TEST_SHARE:.0%} of each class held out for testing, by a hash of the name"
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
        f"{source} has too few videos for the demo: {train} to train on, {test} to test on. The demo needs "
        "at least two readable videos of one class (in one folder), and about 70 videos to measure "
        "accuracies."
    )


def _claim(out: Path, source: Path, layout: str) -> None:
    """Reject an output folder that was used for another source: both would end up in one store."""
    stamp = out / "source.txt"
    text = f"{source.resolve()} {layout}\n"
    if stamp.exists() and stamp.read_text() != text:
        raise FastrotError(
            f"{out} contains the demo of {stamp.read_text().strip()}: choose another --out for {source}"
        )
    if (out / "videos").exists():
        raise FastrotError(f"{out} contains the built-in demo: choose another --out for {source}")
    write_file(stamp, text)


def _prepare(listing: Listing, out: Path, layout: str, frames: int | None) -> None:
    # raw: the videos are small, and decoding would slow down training.
    settings = Settings("raw", SIZE, frames, layout, tuple(listing.classes))
    fill_store(listing, out, settings)


def _splits(listing: Listing) -> tuple[str | None, str | None]:
    """Return the first splits whose names start with "train" and with "test" (or "val")."""
    names = sorted({split for entry in listing.entries for split in entry.splits})

    def first(*kinds: str) -> str | None:
        return next((name for kind in kinds for name in names if name.startswith(kind)), None)

    return first("train"), first("test", "val")


def _split_by_name(entries: list[Entry]) -> list[Entry]:
    """Put ``TEST_SHARE`` of each class (at least 1 video if it has 2) into test, the rest into train."""
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
