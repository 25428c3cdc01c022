"""All checks in order."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastrot.doctor.check import Check, good, missing, warning
from fastrot.doctor.disk import check_disk, measure_disk
from fastrot.doctor.gpus import check_gpus, find_gpus
from fastrot.doctor.host import check_machine, find_machine
from fastrot.doctor.interconnect import check_interconnect, find_interconnect
from fastrot.doctor.software import Software, check_software, find_software
from fastrot.doctor.trial_decoding import check_codecs, try_codec
from fastrot.doctor.trial_engine import check_trial, try_engine
from pipelines.errors import FastrotError
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Store


@dataclass(frozen=True)
class Launch:
    """The processes that torchrun started: in total, and on this machine."""

    world: int = 1
    local: int = 1

    @classmethod
    def read(cls) -> "Launch":
        """Read torchrun's variables."""
        return cls(int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1)))

    @property
    def machines(self) -> int:
        """The number of machines, if all have the same number of processes."""
        return -(-self.world // self.local)


def diagnose(store_path: Path | None = None, launch: Launch = Launch()) -> list[Check]:
    """Run all checks on this machine, and on a store and its disk if one is given."""
    software, gpus = find_software(), find_gpus()
    checks = [*check_software(software, gpus), *check_gpus(gpus)]
    store, about = _open(store_path)
    checks += _codecs(software, store)
    shards = len(store.shards) if store else None
    checks += check_machine(find_machine(), gpus=len(gpus), shards=shards)
    checks += check_interconnect(
        find_interconnect(), gpus=len(gpus), processes=launch.local, machines=launch.machines
    )
    checks += about
    if store is not None and "torch" not in software.errors:
        checks.append(_disk(store, len(gpus)))
    return checks


def stops(checks: Sequence[Check]) -> bool:
    """Return whether training cannot run according to any check."""
    return any(check.stops for check in checks)


def _open(path: Path | None) -> tuple[Store | None, list[Check]]:
    if path is None:
        return None, []
    try:
        store = Store.open(path)
    except FastrotError as error:
        return None, [warning("store", str(error), "choose a readable store", stops=True)]
    if len(store) == 0:
        return None, [warning("store", f"{path} has no videos", "run fastrot prepare", stops=True)]
    return store, [good("store", f"{path}: {len(store):,} videos in {store.codec}")]


def _codecs(software: Software, store: Store | None) -> list[Check]:
    """Try the codecs and the hardware JPEG decoder, each if the packages that it needs can be imported."""
    if software.errors:
        checks = [missing("codecs", "not tried", f"see {', '.join(software.errors)}")]
    else:
        errors = {codec: try_codec(codec) for codec in CODECS}
        checks = check_codecs(errors, store.codec if store else None)
    if not {"torch", "dali"} & software.errors.keys():
        tried = try_engine(store)
        if tried is not None:
            checks.append(check_trial(tried))
    return checks


def _disk(store: Store, gpus: int) -> Check:
    try:
        return check_disk(measure_disk(store), gpus=gpus)
    except OSError as error:
        remedy = "run fastrot store verify --fix to remove the lost videos"
        return warning("disk", f"a shard cannot be read: {error}", remedy, stops=True)
