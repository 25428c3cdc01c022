"""Cases of the loader benchmark: ours, the peers' and the limits, on one set of inputs."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness.consume import Batches, consume
from benchmarks.harness.inputs import COPIES, Inputs
from benchmarks.harness.measure import Case, Fact, NotHere, Options
from benchmarks.loading import loader_limits as limits
from benchmarks.loading import peers
from benchmarks.loading.dali_peers import numpy_reader, video_reader
from pipelines.loading.appearance import Appearance, AppearanceLoader
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions, default_threads
from pipelines.loading.regions import RegionLaw, RegionPlan
from pipelines.plan import ClipSpec, Modality, Plan, TrainPlan
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Store

REGIONS = RegionLaw((0.4, 1.0), (0.75, 1.333))

MOST_STEPS = 5000  # upper bound on the batches of one repeat
OURS = "fastrot"
IN_WORKERS = "torchcodec + DataLoader"
IN_THREADS = "torchcodec in threads"


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run: clip lengths (``frames``), clips per batch, and seconds per repeat."""

    frames: tuple[int, ...]
    batch: int
    seconds: float
    repeats: int
    watched_clips: int


def is_compared(facts: Mapping[str, Fact], frames: int) -> bool:
    """Return whether a case is compared with the others of its codec: ours or a peer's, of equal RGB clips.

    Args:
        facts: The facts of the case.
        frames: The length of the clips that are compared.
    """
    plain = "by" in facts and "changed" not in facts and not facts.get("augmented")
    return plain and facts["modality"] == "rgb" and facts["frames"] == frames


class LoaderCases:
    """Creates the cases for one set of inputs."""

    def __init__(self, options: Options, inputs: Inputs, sizes: Sizes):
        self.sizes = sizes
        self._options = options
        self._inputs = inputs
        self._threads = options.runtime.cores
        self._own_threads = default_threads(self._threads, options.device.type)
        self.crop = min(112, *(store.size for store in inputs.stores.values()))

    def settings(self) -> dict[str, object]:
        """Return the settings of the run."""
        return {
            "input": self._inputs.about,
            "frames": list(self.sizes.frames),
            "batch": self.sizes.batch,
            "crop": self.crop,
            "stored_size": next(iter(self._inputs.stores.values())).size,
            "threads": self._own_threads,
            "peer_processes": self._threads,
            "seconds_a_repeat": round(self.sizes.seconds, 2),
            "quick": self._options.quick,
        }

    def cases(self) -> list[Case]:
        """Return our cases and the peers' cases, grouped by codec."""
        cases = []
        first = self.sizes.frames[0]
        for codec in self._inputs.stores:
            for frames in self.sizes.frames:
                for modality in ("rgb", "dif"):
                    cases.append(self.ours(codec, frames, modality))
                if frames == first:
                    cases += [self.augmented(codec, frames, each) for each in ("rgb", "dif")]
                if frames == first and not CODECS[codec].video:
                    cases.append(self.ours(codec, frames, "rgb", check=False))
                if codec == "raw":
                    cases += self._raw_peers(frames)
                elif codec == "mjpeg" or frames == first:
                    cases += [self._decoder(peer, codec, frames) for peer in peers.DECODERS]
            if codec != "raw":
                cases.append(self._in_threads(codec, first))
            if CODECS[codec].video:
                cases += self._gpu_peers(codec, first)
        return cases

    def limits(self) -> list[Case]:
        """Return the limits."""
        first, sizes, threads = self.sizes.frames[0], self.sizes, self._threads
        spec = ClipSpec(first, crop=self.crop)
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
            # One copy of each clip is enough: the copies are identical.
            dict(list(self._files(codec).items())[::COPIES]),
            self.sizes.frames[0],
            self._threads,
            self.sizes.seconds,
        )

    def ours(self, codec: str, frames: int, modality: Modality, **changed: bool | float) -> Case:
        """Return our loader's case; ``changed`` are ``Loader`` options and part of the name."""
        spec = ClipSpec(frames, crop=self.crop, modality=modality)

        def measure() -> Mapping[str, float]:
            return self._consume(self.loader(codec, spec, **changed), frames)

        case = self._case(OURS, codec, frames, measure, modality)
        names = [
            "unchecked" if name == "check" else f"{name} {value:g}"
            for name, value in changed.items()
        ]
        if not names:
            return case
        facts = {**case.facts, "changed": ", ".join(names)}
        return replace(case, name=f"{case.name}, {facts['changed']}", facts=facts)

    def augmented(self, codec: str, frames: int, modality: Modality) -> Case:
        """Return the case of our loader with every augmentation."""
        spec = ClipSpec(frames, crop=self.crop, modality=modality)
        appearance = Appearance(seed=0, grey=0.5, gain=1.8, polarity=modality == "dif")

        @contextmanager
        def make() -> Iterator[Iterator[torch.Tensor]]:
            plan = RegionPlan(self._plan(codec, spec), self._inputs.stores[codec], REGIONS, seed=0)
            with AppearanceLoader(self._loader(codec, plan), appearance) as loader:
                yield (batch.clips for batch in loader)

        case = self._case(OURS, codec, frames, lambda: self._consume(make, frames), modality)
        return replace(
            case,
            name=f"{case.name}, augmented",
            facts={**case.facts, "augmented": True},
        )

    def videos(self, codec: str, spec: ClipSpec) -> tuple[Store, NDArray[np.int64]]:
        """Return a codec's store and the indices of its videos that are long enough for a clip."""
        store, videos = self._inputs.stores[codec], self._inputs.videos
        kept = videos[store.frames[videos] >= spec.decoded_frames]
        if not len(kept):
            raise NotHere(f"no video has at least {spec.decoded_frames} frames")
        return store, kept

    def loader(self, codec: str, spec: ClipSpec, **changed: Any) -> Batches:
        """Return a factory of our loader for a codec's store."""

        @contextmanager
        def make() -> Iterator[Iterator[torch.Tensor]]:
            with self._loader(codec, self._plan(codec, spec), **changed) as loader:
                yield (batch.clips for batch in loader)

        return make

    def _loader(self, codec: str, plan: Plan, **changed: Any) -> Loader:
        return Loader(
            self._inputs.stores[codec],
            plan,
            self._ranges(),
            batch=self.sizes.batch,
            device=self._options.device,
            options=LoaderOptions(threads=self._own_threads, **changed),
        )

    def _decoder(self, peer: str, codec: str, frames: int) -> Case:
        def measure() -> Mapping[str, float]:
            peers.require(peer)
            batches = self._planned(codec, frames, peers.DECODERS[peer])
            return self._consume(partial(peers.data_loader, batches, self._threads), frames)

        return self._case(f"{peer} + DataLoader", codec, frames, measure)

    def _in_threads(self, codec: str, frames: int) -> Case:
        def measure() -> Mapping[str, float]:
            peers.require("torchcodec")
            batches = self._planned(codec, frames, peers.decode_with_torchcodec)
            read = {video: path.read_bytes() for video, path in self._files(codec).items()}
            batches = replace(batches, files=read)
            return self._consume(partial(peers.in_threads, batches, self._threads), frames)

        return self._case(IN_THREADS, codec, frames, measure)

    def _raw_peers(self, frames: int) -> list[Case]:
        def mapped() -> Mapping[str, float]:
            batches = self._planned("raw", frames, peers.slice_of_map)
            return self._consume(partial(peers.data_loader, batches, self._threads), frames)

        def region() -> Mapping[str, float]:
            plan, files = self._plan("raw", ClipSpec(frames, crop=self.crop)), self._files("raw")
            ranges = self._ranges()[: math.ceil(8000 * self.sizes.seconds / self.sizes.batch)]
            reader = partial(numpy_reader, files, plan, ranges, self._threads)
            return self._consume(lambda: nullcontext(reader()), frames)

        return [
            self._case("memory map + DataLoader", "raw", frames, mapped),
            self._case("DALI readers.numpy", "raw", frames, region),
        ]

    def _gpu_peers(self, codec: str, frames: int) -> list[Case]:
        def reader() -> Mapping[str, float]:
            plan, files = self._plan(codec, ClipSpec(frames, crop=self.crop)), self._files(codec)
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
        plan = self._plan(codec, ClipSpec(frames, crop=self.crop))
        return peers.PlannedBatches(self._files(codec), plan, self._ranges(), decode)

    def _plan(self, codec: str, spec: ClipSpec) -> TrainPlan:
        return TrainPlan(*self.videos(codec, spec), spec, seed=0)

    def _files(self, codec: str) -> dict[int, Path]:
        return dict(zip(self._inputs.videos.tolist(), self._inputs.files(codec), strict=True))

    def _ranges(self) -> list[tuple[int, int]]:
        batch = self.sizes.batch
        return [(step * batch, batch) for step in range(MOST_STEPS)]
