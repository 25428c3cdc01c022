"""How fast do N threads read planned clips from a store, warm and cold?

Run: python -m benchmarks.tools.reading_rates STORE

The limit to compare with is one thread that reads the same shards from end to end. Cold drops the
shards from the page cache before each run (``posix_fadvise``), which needs no privileges. The output
is one JSON line per case, with medians over interleaved repeats.
"""

import json
import statistics
import time
from pathlib import Path

from benchmarks.loading.loader_limits import drop_from_cache, read_through
from fastrot.commands.arguments import Parser
from pipelines.loading.clip_reader import ClipReader
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.shares import train_ranges
from pipelines.store.reading import Store

BATCH = 32


def read_clips(
    store: Store, spec: ClipSpec, *, threads: int, steps: int, seed: int
) -> dict[str, float]:
    """Read ``steps`` batches of random clips; return clips and megabytes per second."""
    plan = TrainPlan(store, store.select("all"), spec, seed=seed)
    ranges = train_ranges(batch=BATCH, start_step=0, steps=steps)
    reader = ClipReader(store, plan, ranges, batch=BATCH, options=LoaderOptions(threads=threads))
    began = time.perf_counter()
    for _ in reader:
        pass
    seconds = time.perf_counter() - began
    reader.close()
    return {
        "clips_per_s": BATCH * steps / seconds,
        "mb_per_s": reader.bytes_read / seconds / 1e6,
    }


def main() -> None:
    """Measure and print the figures."""
    parser = Parser(prog="python -m benchmarks.tools.reading_rates", description="Measure reading.")
    parser.add_argument("store", type=Path, metavar="STORE", help="a store made by fastrot prepare")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2, 4], help="numbers of threads"
    )
    parser.add_argument("--steps", type=int, default=20, help="batches per measurement")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each case")
    parser.add_argument("--frames", type=int, default=16, help="frames per clip")
    parser.add_argument("--stride", type=int, default=1, help="distance between a clip's frames")
    args = parser.parse_args()
    store = Store.open(args.store)
    spec = ClipSpec(frames=args.frames, stride=args.stride, crop=min(112, store.size))
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    for repeat in range(args.repeats):
        for cache in ("warm", "cold"):
            for threads in (0, *args.threads):
                if cache == "cold":
                    drop_from_cache(store)
                elif threads == 0:
                    read_through(store)
                figures = (
                    read_clips(store, spec, threads=threads, steps=args.steps, seed=repeat)
                    if threads
                    else read_through(store)
                )
                name = f"{threads} threads" if threads else "end to end"
                results.setdefault((cache, name), []).append(figures)
    for (cache, name), runs in results.items():
        medians = {key: round(statistics.median(run[key] for run in runs), 1) for key in runs[0]}
        print(json.dumps({"codec": store.codec, "cache": cache, "reader": name, **medians}))


if __name__ == "__main__":
    main()
