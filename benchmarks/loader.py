"""Clips a second from every codec, beside other loaders on the same videos and the machine's limits."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import loader_limits as limits
from benchmarks import peers
from benchmarks.dali_peers import numpy_reader, video_reader
from benchmarks.inputs import Inputs, open_inputs
from benchmarks.loader_goals import goals
from benchmarks.method import REPEATS, Case, Fact, NotHere, Options, Outcome, Result, interleave
from benchmarks.resident import measure_memory
from pipelines.codecs import CODECS
from pipelines.loader import Loader
from pipelines.plan import ClipSpec, Modality, TrainPlan

Batches = Callable[[], AbstractContextManager[Iterator[torch.Tensor]]]

MEMORY_SHARE = 0.12  # of the budget, for the watch over resident memory
MOST_STEPS = 5000  # batches that a repeat could take, were it that fast


@dataclass(frozen=True)
class Sizes:
    """How much is done: clips of each length in ``frames``, ``batch`` at a time, ``seconds`` a repeat."""

    frames: tuple[int, ...]
    batch: int
    seconds: float
    repeats: int
    watched_clips: int


def run(options: Options, *, budget_s: float) -> Result:
    """Measure every codec, peer and limit in turn."""
    ends = time.monotonic() + budget_s
    codecs = ("raw", "mjpeg") if options.quick else tuple(CODECS)
    with open_inputs(options, codecs) as inputs:
        left = ends - time.monotonic()
        bench = _Bench(options, inputs, _sizes(options, left))
        cases, bounds = bench.cases(), bench.limits()
        found = interleave(
            [*cases, *bounds],
            budget_s=left * (1 - MEMORY_SHARE),
            repeats=bench.sizes.repeats,
            warm_up=False,  # every measurement fills its queues before the clock runs
            what="loader",
            shown=options.shown,
        )
        watched = bench.watch_memory(left * MEMORY_SHARE)
        measured = [found[case.name] for case in cases] + watched
        return Result(
            benchmark="loader",
            settings=bench.settings(),
            cases=measured,
            limits=[found[case.name] for case in bounds],
            goals=goals(measured, found, frames=bench.sizes.frames[0]),
            notes=[
                "Every loader gives batches of random clips, cropped and flipped, as one tensor: "
                "uint8, for DIF int16.",
                "The peers are given our plan's clips, and the same packets in AVI or MP4 files "
                "(.npy for raw).",
                "first_batch_s is from the making of the loader; for processes of a DataLoader, by fork.",
                "A limit's clips are of the first length.",
            ],
        )


def _sizes(options: Options, budget_s: float) -> Sizes:
    if options.quick:
        return Sizes((4,), 4, 0.05, 1, 200)
    # Some 50 cases in 4 rounds; making a loader and filling its queue take about as long again.
    seconds = min(max(budget_s * (1 - MEMORY_SHARE) / (50 * 4) / 2, 0.3), 2.0)
    return Sizes((16, 32, 64), 16, seconds, REPEATS, 20_000)


class _Bench:
    """Makes the cases over one set of inputs."""

    def __init__(self, options: Options, inputs: Inputs, sizes: Sizes):
        self.sizes = sizes
        self._options = options
        self._inputs = inputs
        self._threads = options.runtime.threads
        self._crop = min(112, *(store.size for store in inputs.stores.values()))

    def settings(self) -> dict[str, object]:
        return {
            "input": self._inputs.about,
            "frames": list(self.sizes.frames),
            "batch": self.sizes.batch,
            "crop": self._crop,
            "stored_size": next(iter(self._inputs.stores.values())).size,
            "threads": self._threads,
            "peer_processes": self._threads,
            "seconds_a_repeat": round(self.sizes.seconds, 2),
            "quick": self._options.quick,
        }

    def cases(self) -> list[Case]:
        cases = []
        first = self.sizes.frames[0]
        for codec in self._inputs.stores:
            for frames in self.sizes.frames:
                for modality in ("rgb", "dif"):
                    cases.append(self._ours(codec, frames, modality))
                if codec == "raw":
                    cases += self._raw_peers(frames)
                elif codec == "mjpeg" or frames == first:
                    cases += [self._decoder(peer, codec, frames) for peer in peers.DECODERS]
            if CODECS[codec].video:
                cases += self._gpu_peers(codec, first)
        return cases

    def limits(self) -> list[Case]:
        first, sizes, threads = self.sizes.frames[0], self.sizes, self._threads
        spec = ClipSpec(first, crop=self._crop)
        found = [
            Case(
                f"memory copy, {count} thread" + "s" * (count > 1),
                partial(limits.copy_clips, spec, sizes.batch, count, sizes.seconds),
                {"threads": count},
            )
            for count in sorted({1, threads})
        ]
        for codec, store in self._inputs.stores.items():
            if codec != "raw":
                found.append(
                    Case(
                        f"sequential decoding, {codec}",
                        partial(self._decode_sequentially, codec),
                        {"codec": codec},
                    )
                )
            for cache in ("cold", "warm"):
                found.append(
                    Case(
                        f"disk, {cache} cache, {codec}",
                        partial(limits.read_from_end_to_end, store, cold=cache == "cold"),
                        {"codec": codec, "cache": cache},
                    )
                )
        return found

    def _decode_sequentially(self, codec: str) -> Mapping[str, float]:
        return limits.decode_sequentially(
            self._inputs.stores[codec],
            self._inputs.files(codec),
            self.sizes.frames[0],
            self._threads,
            self.sizes.seconds,
        )

    def watch_memory(self, budget_s: float) -> list[Outcome]:
        watched = [codec for codec in ("raw", "mjpeg") if codec in self._inputs.stores]
        return [
            measure_memory(
                f"memory over {self.sizes.watched_clips} clips, {codec}",
                self._loader(codec, ClipSpec(self.sizes.frames[0], crop=self._crop)),
                clips=self.sizes.watched_clips,
                budget_s=budget_s / len(watched),
            )
            for codec in watched
        ]

    def _ours(self, codec: str, frames: int, modality: Modality) -> Case:
        spec = ClipSpec(frames, crop=self._crop, modality=modality)

        def measure() -> Mapping[str, float]:
            if self._options.device.type == "cpu" and not CODECS[codec].on_cpu:
                raise NotHere(f"DALI decodes {codec} only on a GPU")
            return self._consume(self._loader(codec, spec), frames)

        return self._case("fastrot", codec, frames, measure, modality)

    def _loader(self, codec: str, spec: ClipSpec) -> Batches:
        @contextmanager
        def make() -> Iterator[Iterator[torch.Tensor]]:
            with Loader(
                self._inputs.stores[codec],
                self._plan(codec, spec),
                self._ranges(),
                batch=self.sizes.batch,
                device=self._options.device,
                threads=self._threads,
            ) as loader:
                yield (batch.clips for batch in loader)

        return make

    def _decoder(self, peer: str, codec: str, frames: int) -> Case:
        def measure() -> Mapping[str, float]:
            peers.require(peer)
            batches = self._planned(codec, frames, peers.DECODERS[peer])
            return self._consume(partial(peers.data_loader, batches, self._threads), frames)

        return self._case(f"{peer} + DataLoader", codec, frames, measure)

    def _raw_peers(self, frames: int) -> list[Case]:
        def mapped() -> Mapping[str, float]:
            batches = self._planned("raw", frames, peers.slice_of_map)
            return self._consume(partial(peers.data_loader, batches, self._threads), frames)

        def region() -> Mapping[str, float]:
            plan, files = self._plan("raw", ClipSpec(frames, crop=self._crop)), self._files("raw")
            ranges = self._ranges()[: math.ceil(8000 * self.sizes.seconds / self.sizes.batch)]
            reader = partial(numpy_reader, files, plan, ranges, self._threads)
            return self._consume(lambda: nullcontext(reader()), frames)

        return [
            self._case("memory map + DataLoader", "raw", frames, mapped),
            self._case("DALI readers.numpy", "raw", frames, region),
        ]

    def _gpu_peers(self, codec: str, frames: int) -> list[Case]:
        def reader() -> Mapping[str, float]:
            plan, files = self._plan(codec, ClipSpec(frames, crop=self._crop)), self._files(codec)
            size = self._inputs.stores[codec].size
            read = partial(
                video_reader,
                list(files.values()),
                plan,
                self.sizes.batch,
                MOST_STEPS,
                self._threads,
                size=size,
            )
            return self._consume(lambda: nullcontext(read()), frames)

        def torchcodec() -> Mapping[str, float]:
            if self._options.device.type == "cpu":
                raise NotHere("there is no GPU")
            peers.require("torchcodec")
            batches = self._planned(codec, frames, peers.decode_with_torchcodec)
            return self._consume(
                lambda: nullcontext(peers.decoded_on_the_gpu(batches, self._threads)), frames
            )

        return [
            self._case("DALI readers.video", codec, frames, reader),
            self._case("torchcodec CUDA", codec, frames, torchcodec),
        ]

    def _case(
        self,
        by: str,
        codec: str,
        frames: int,
        measure: Callable[[], Mapping[str, float]],
        modality: Modality = "rgb",
    ) -> Case:
        facts: dict[str, Fact] = {
            "by": by,
            "codec": codec,
            "modality": modality,
            "frames": frames,
            "mb_per_video": round(self._inputs.mb_per_video(codec), 3),
        }
        return Case(f"{by}, {codec}, {modality} {frames}", measure, facts)

    def _consume(self, make: Batches, frames: int) -> dict[str, float]:
        return consume(
            make,
            frames=frames,
            seconds=self.sizes.seconds,
            unmeasured=max(2, self._threads),
            device=self._options.device,
        )

    def _planned(self, codec: str, frames: int, decode: peers.Decode) -> peers.PlannedBatches:
        plan = self._plan(codec, ClipSpec(frames, crop=self._crop))
        return peers.PlannedBatches(self._files(codec), plan, self._ranges(), decode)

    def _plan(self, codec: str, spec: ClipSpec) -> TrainPlan:
        store = self._inputs.stores[codec]
        return TrainPlan(store, self._long_enough(codec, spec.decoded_frames), spec, seed=0)

    def _long_enough(self, codec: str, frames: int) -> NDArray[np.int64]:
        videos = self._inputs.videos
        kept = videos[self._inputs.stores[codec].frames[videos] >= frames]
        if not len(kept):
            raise NotHere(f"no video has {frames} frames")
        return kept

    def _files(self, codec: str) -> dict[int, Path]:
        return dict(zip(self._inputs.videos.tolist(), self._inputs.files(codec), strict=True))

    def _ranges(self) -> list[tuple[int, int]]:
        batch = self.sizes.batch
        return [(step * batch, batch) for step in range(MOST_STEPS)]


def consume(
    make: Batches, *, frames: int, seconds: float, unmeasured: int, device: torch.device
) -> dict[str, float]:
    """Take batches as fast as they come, and return the figures.

    Args:
        make: makes the loader, and ends it.
        frames: of a clip.
        seconds: how long to measure.
        unmeasured: batches after the first one that the clock does not see: what workers had begun at the
            same time as the first.
        device: where the batches are wanted.
    """
    began = time.perf_counter()
    with make() as batches:
        next(batches).to(device)
        first_batch_s = time.perf_counter() - began
        for _ in range(unmeasured):
            next(batches)
        clips = 0
        began, cpu_began = time.perf_counter(), peers.cpu_s()
        for batch in batches:
            clips += len(batch.to(device, non_blocking=True))
            if time.perf_counter() - began >= seconds:
                break
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took, cpu = time.perf_counter() - began, peers.cpu_s() - cpu_began
    return {
        "clips_per_s": clips / took,
        "frames_per_s": clips * frames / took,
        "cpu_ms_per_clip": 1000 * cpu / clips,
        "first_batch_s": first_batch_s,
    }
