"""Clips per second of all processes of a node that load from one store, compared with one process.

``fastrot bench loader --store STORE --processes 8`` runs it. Each process has its share of the cores, as in
training. So has the single process: N times its rate is what N processes reach if disk and memory suffice.
"""

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness.compared import Ratio
from benchmarks.harness.inputs import open_inputs
from benchmarks.harness.measure import REPEATS, Case, NotHere, Options, Outcome, Result, interleave
from benchmarks.harness.ratios import paired_ratio
from benchmarks.loading.loader_limits import drop_from_cache
from pipelines.errors import FastrotError, first_line
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.shares import Share, train_ranges
from pipelines.store.reading import Store

START_S = 120.0
"""Most seconds from the start of a process to its first batch: importing torch and DALI on a busy machine."""

MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class Work:
    """What each process does: the store, the clips, and the seconds of its measurement."""

    store: Path
    spec: ClipSpec
    batch: int
    seconds: float
    device: str
    threads: int
    node: int = 1
    """Processes among which the cores are divided."""


def run(options: Options, *, processes: int, budget_s: float) -> Result:
    """Measure one process and ``processes`` in turn, each time with the store dropped from the page cache."""
    ends = time.monotonic() + budget_s
    with open_inputs(options, ("raw",) if options.quick else ("raw", "mjpeg")) as inputs:
        left = ends - time.monotonic()
        repeats = 1 if options.quick else REPEATS
        seconds = 0.05 if options.quick else min(max(left / (8 * repeats), 1.0), 20.0)
        frames, crop = (4 if options.quick else 16), min(s.size for s in inputs.stores.values())
        spec = ClipSpec(frames, crop=min(112, crop))
        threads = default_threads(max(1, options.runtime.cores // processes), options.device.type)
        cases = [
            Case(
                _name(count, codec),
                partial(
                    measure,
                    Work(store.path, spec, 16, seconds, options.device.type, threads, processes),
                    count,
                ),
                {"codec": codec, "processes": count},
            )
            for codec, store in inputs.stores.items()
            for count in sorted({1, processes})
        ]
        found = interleave(
            cases,
            budget_s=left,
            repeats=repeats,
            warm_up=False,  # every process fills its queues before the clock runs
            what="loader",
            shown=options.shown,
        )
        return Result(
            benchmark="loader",
            settings={
                "input": inputs.about,
                "processes": processes,
                "threads_a_process": threads,
                "frames": frames,
                "batch_a_process": 16,
                "seconds_a_repeat": round(seconds, 2),
                "quick": options.quick,
            },
            cases=list(found.values()),
            ratios=_ratios(found, list(inputs.stores), processes),
            notes=[
                "The ratio would be the number of processes if they shared nothing.",
                "clips/s is the sum over the processes, which read different clips of the same store.",
                "The store is dropped from the page cache before each repeat. One that is read more than "
                "once in a repeat is cached after that: for a disk's rate give one larger than memory.",
            ],
        )


def _ratios(found: Mapping[str, Outcome], codecs: list[str], processes: int) -> list[Ratio]:
    """Return the rate of all processes over that of one with its share of the cores, for each codec."""
    if processes == 1:
        return []
    pairs = (
        paired_ratio(
            f"{codec}: {processes} processes over one",
            found[_name(processes, codec)],
            found[_name(1, codec)],
            "clips_per_s",
        )
        for codec in codecs
    )
    return [ratio for ratio in pairs if ratio is not None]


def _name(count: int, codec: str) -> str:
    return f"{count} process{'es' * (count > 1)}, {codec}"


def measure(work: Work, processes: int) -> Mapping[str, float]:
    """Load in ``processes`` processes at the same time and return the sum of their rates.

    Raises:
        NotHere: No video is long enough for a clip.
        FastrotError: A process failed.
    """
    store, _ = _videos(work)
    drop_from_cache(store)
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(processes), context.SimpleQueue()
    started = [
        context.Process(target=_load, args=(work, rank, processes, barrier, found), daemon=True)
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    try:
        for process in started:
            process.join(START_S + 3 * work.seconds)
        answers = [found.get() for _ in started if not found.empty()]
    finally:
        for process in started:
            process.kill()
            process.join()
    errors = [answer for answer in answers if isinstance(answer, str)]
    if errors or len(answers) < processes:
        raise FastrotError(
            errors[0] if errors else "a process of the loader ended without a result"
        )
    rates = [clips / seconds for clips, seconds in answers]
    return {"clips_per_s": sum(rates), "slowest_process_clips_per_s": min(rates)}


def _videos(work: Work) -> tuple[Store, NDArray[np.int64]]:
    """Return the store and the indices of its videos that are long enough."""
    store = Store.open(work.store)
    videos = store.select("all")
    videos = videos[store.frames[videos] >= work.spec.decoded_frames]
    if not len(videos):
        raise NotHere(f"no video has at least {work.spec.decoded_frames} frames")
    return store, videos


def _load(work: Work, rank: int, world: int, barrier: Barrier, found: "SimpleQueue[Any]") -> None:
    """Take batches as fast as they come, and answer with (clips, seconds), or with an error's first line."""
    try:
        found.put(_rate(work, rank, world, barrier))
    except threading.BrokenBarrierError:
        pass  # another process failed, and says why
    except Exception as error:
        barrier.abort()  # the others must not wait for this process
        found.put(first_line(error))


def _rate(work: Work, rank: int, world: int, barrier: Barrier) -> tuple[int, float]:
    device = torch.device(work.device)
    if device.type == "cuda":
        device = torch.device("cuda", rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    with contextlib.suppress(OSError):  # the share of the cores, if there are enough
        cores = sorted(os.sched_getaffinity(0))[rank :: work.node]
        os.sched_setaffinity(0, cores or os.sched_getaffinity(0))
    torch.set_num_threads(1)
    store, videos = _videos(work)
    share = Share(rank=rank, world=world)
    ranges = train_ranges(batch=work.batch * world, start_step=0, steps=MOST_STEPS, share=share)
    plan = TrainPlan(store, videos, work.spec, seed=0)
    options = LoaderOptions(threads=work.threads)
    with Loader(store, plan, ranges, batch=work.batch, device=device, options=options) as loader:
        for _ in range(options.prefetch + 2):  # fills the queues again while it waits
            next(loader)
        barrier.wait(START_S)
        clips, began = 0, time.perf_counter()
        for batch in loader:
            clips += len(batch.clips)
            if time.perf_counter() - began >= work.seconds:
                break
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clips, time.perf_counter() - began
