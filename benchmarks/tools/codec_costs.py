"""Bytes, PSNR and CPU time of every codec and quality, with a warm and a cold cache.

Run: python -m benchmarks.tools.codec_costs --out benchmarks/results/codecs.json

The videos are the real ones of ``fastrot bench`` (extra ``footage``), every frame stretched to 136x136. Each
store contains them several times. Clips have 16 RGB frames and are cropped to 112x112. Other processes make
everything slower and nothing faster, so the lowest CPU time and the highest rates of all rounds are kept. The
table is printed as Markdown.
"""

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness.inputs import SIZE, footage
from benchmarks.harness.session import environment
from benchmarks.loading.loader_limits import drop_from_cache, read_through
from benchmarks.tools.codec_table import costs_grid
from benchmarks.tools.jpegs import psnr
from fastrot.commands.arguments import Parser
from fastrot.distributed.runtime import Runtime
from fastrot.terminal.console import progress
from pipelines.cores import cores
from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.loading.clip_reader import ClipReader
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec, EvalPlan, Plan, TrainPlan
from pipelines.prepare.encode import Frame, encode
from pipelines.prepare.transcode import stream_frames
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Settings, Store
from pipelines.store.writing import writing

QUALITIES: dict[str, tuple[int | None, ...]] = {
    "raw": (None,),
    "mjpeg": (2, 4, 8),
    "h264": (20, 25, 30),
    "vp9": (22, 32, 42),
}
"""The default first."""

COPIES = 24  # of each video: in an epoch, a clip's place on the disk is read once, and so is cold
BATCH = 8
COMPARED = 60
"""Evenly spaced frames of each video for the PSNR."""

SPEC = ClipSpec(16, crop=112)
Pictures = dict[str, list[Frame]]
"""The frames of each video by its name, (size, size, 3) uint8."""


@dataclass
class Costs:
    """One codec at one quality: its store, and what was measured so far."""

    store: Store
    facts: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, value: float, *, best: Any = min) -> None:
        """Keep the best value of all rounds."""
        self.facts[name] = best(value, self.facts.get(name, value))


def pictures(paths: Sequence[Path]) -> Pictures:
    """Return all frames of the videos as ``prepare`` stores them.

    Raises:
        FastrotError: A video cannot be decoded.
    """
    found: Pictures = {}
    for path in paths:
        try:
            found[path.stem], *_ = stream_frames(
                path, None, SIZE, "stretch", lambda frames, _: list(frames)
            )
        except FastrotError as error:
            raise FastrotError(f"{path}: {error}") from None
    return found


def make_store(path: Path, videos: Pictures, codec: str, quality: int | None, copies: int) -> Store:
    """Encode each video once, and write it ``copies`` times."""
    settings = Settings(codec, SIZE, None, "folder", quality=quality)
    encoded = {name: encode(frames, codec, quality, 25.0) for name, frames in videos.items()}
    with writing(path, settings) as writer:
        for copy in range(copies):
            for name, video in encoded.items():
                writer.add(f"{name}-{copy}", video, label=None, splits=("train",))
    return Store.open(path)


def without_index(store: Store) -> Store:
    """Return the store as one of format 2, whose clips of h264 and vp9 read their whole video."""
    other = Store.open(store.path)
    other.settings = dataclasses.replace(store.settings, format=2)
    return other


def cpu_ms(store: Store, epochs: int) -> float:
    """Return the CPU milliseconds of this process per clip, from a warm cache."""
    clips = epochs * len(store)
    with _loading(store, TrainPlan(store, store.select("all"), SPEC, seed=0), clips) as loader:
        began = time.process_time()  # before the first batch: others are decoded ahead with it
        done = sum(map(len, loader))
        return 1e3 * (time.process_time() - began) / done


def clips_per_s(store: Store, *, cold: bool) -> float:
    """Return the clips per second of one epoch, with the shards in the page cache or dropped from it."""
    with _loading(store, TrainPlan(store, store.select("all"), SPEC, seed=1), len(store)) as loader:
        if cold:
            drop_from_cache(store)
        else:
            read_through(store)
        began = time.perf_counter()
        done = sum(map(len, loader))
        return done / (time.perf_counter() - began)


def read_kb(store: Store) -> float:
    """Return the kB read for a clip, the mean of one epoch."""
    plan = TrainPlan(store, store.select("all"), SPEC, seed=0)
    ranges = _ranges(len(store))
    reader = ClipReader(store, plan, ranges, batch=BATCH, options=LoaderOptions(threads=1))
    try:
        for _ in reader:
            pass
    finally:
        reader.close()
    return reader.bytes_read / len(store) / 1e3


def frames_of(store: Store) -> NDArray[np.uint8]:
    """Return ``COMPARED`` frames of each video, once, as training sees them, (N, size, size, 3)."""
    videos = np.array([i for i in range(len(store)) if store.name(i).endswith("-0")])
    plan = EvalPlan(store, videos, ClipSpec(1, crop=store.size), clips_per_video=COMPARED)
    with _loading(store, plan, len(plan)) as loader:
        return np.concatenate([batch[:, 0].numpy().copy() for batch in loader])


def measure(
    folder: Path, paths: Sequence[Path], *, copies: int, rounds: int, rates: bool = True
) -> dict[str, Any]:
    """Return the costs of every codec and quality, and with ``rates`` the rates of the default qualities."""
    videos = pictures(paths)
    with progress(sum(map(len, QUALITIES.values())), "codecs", "stores") as advance:
        measured = []
        for codec, qualities in QUALITIES.items():
            for quality in qualities:
                store = make_store(folder / f"{codec}-{quality}", videos, codec, quality, copies)
                default = quality == CODECS[codec].quality
                measured.append(
                    Costs(store, {"codec": codec, "quality": quality, "default": default})
                )
                advance()
    truth = frames_of(measured[0].store)  # raw
    for costs in measured:
        store, facts = costs.store, costs.facts
        facts["kb_per_frame"] = float(store.bytes.sum() / store.frames.sum() / 1e3)
        if store.codec != "raw":
            facts["psnr"] = psnr(truth, frames_of(store))
        facts["read_kb"] = read_kb(store)
        if CODECS[store.codec].video:
            facts["whole_kb"] = read_kb(without_index(store))
    with progress(rounds * len(measured), "rounds", "measurements") as advance:
        for _ in range(rounds):
            for costs in measured:
                costs.keep("cpu_ms", cpu_ms(costs.store, 2))
                if rates and costs.facts["default"]:
                    _rates(costs)
                advance()
    return {"copies": copies, "rounds": rounds, "costs": [costs.facts for costs in measured]}


def _rates(costs: Costs) -> None:
    costs.keep("warm", clips_per_s(costs.store, cold=False), best=max)
    costs.keep("cold", clips_per_s(costs.store, cold=True), best=max)
    if "whole_kb" in costs.facts:
        costs.keep("whole_cold", clips_per_s(without_index(costs.store), cold=True), best=max)


@contextmanager
def _loading(store: Store, plan: Plan, clips: int) -> Iterator[Iterator[torch.Tensor]]:
    with Loader(
        store,
        plan,
        _ranges(clips),
        batch=BATCH,
        device=torch.device("cpu"),
        options=LoaderOptions(threads=cores()),
    ) as loader:
        yield (batch.clips for batch in loader)


def _ranges(clips: int) -> list[tuple[int, int]]:
    return [(first, min(BATCH, clips - first)) for first in range(0, clips, BATCH)]


def main() -> None:
    """Measure, write the figures and print the table."""
    parser = Parser(prog="python -m benchmarks.tools.codec_costs", description="Measure codecs.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each store")
    parser.add_argument(
        "--no-rates",
        action="store_true",
        help="leave out clips per second, which mean nothing on a busy machine",
    )
    args = parser.parse_args()
    with Runtime.start() as runtime, tempfile.TemporaryDirectory() as folder:
        found = {"environment": environment(runtime)}
        found |= measure(
            Path(folder), footage(), copies=COPIES, rounds=args.rounds, rates=not args.no_rates
        )
    write_file(args.out, json.dumps(found, indent=1) + "\n")
    print(costs_grid(found).to_markdown())


if __name__ == "__main__":
    main()
