"""The built-in demo set: generated videos, stored in the layout of UCF101.

::

    ROOT/demo.json                                             the spec, written first
    ROOT/unlabelled/v_00001.avi                                a flat folder
    ROOT/labelled/videos/JumpingJack/v_JumpingJack_g01_c01.avi
    ROOT/labelled/splits/{classInd,trainlist01..03,testlist01..03}.txt
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.film import CameraMotion, Shot, film, stream
from fastrot.synthetic.video import write_video
from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file

VERSION = 3
"""Version of the generator: increase it when the same spec yields different videos."""

SPLITS = 3
_CHUNK = 16


@dataclass(frozen=True)
class DemoSpec:
    """The contents of a demo set.

    Attributes:
        unlabelled: Number of videos without a label. Each has its own subject and scene, because a
            network memorises scenes that it sees repeatedly.
        groups: Groups per class, a multiple of 3. As in UCF101, each group has its own subject and
            scenes, and each split tests on a different third of the groups.
        clips_per_group: Labelled videos per class and group.
        frames: Frames per video.
        size: Height and width in pixels, even. The frames are square because they are later resized
            to a square: stretching one side would reveal the rotation without the figure.
        fps: Frames per second.
        seed: Seed of everything random.
        camera: "static", or "moving" for a hand-held camera (``fastrot.synthetic.camera.hand_held``).
        horizon: Whether the scenes have ground below and sky above, with the horizon at the height of
            the figure's feet. A moving camera and a horizon both reveal the rotation without the figure.
    """

    unlabelled: int = 1400
    groups: int = 21
    clips_per_group: int = 3
    frames: int = 32
    size: int = 80
    fps: int = 25
    seed: int = 0
    camera: CameraMotion = "static"
    horizon: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: A value is out of range.
        """
        lowest = {"unlabelled": 0, "groups": SPLITS, "clips_per_group": 1, "frames": 1}
        lowest |= {"size": 16, "fps": 1, "seed": 0}
        for name, low in lowest.items():
            if getattr(self, name) < low:
                raise UsageError(f"demo {name} is {getattr(self, name)}: it must be at least {low}")
        if self.groups % SPLITS:
            raise UsageError(f"demo groups is {self.groups}: it must be a multiple of {SPLITS}")
        if self.size % 2:
            raise UsageError(f"demo size is {self.size}: it must be even")
        if self.camera not in get_args(CameraMotion):
            raise UsageError(f"demo camera is {self.camera!r}: it must be static or moving")


@dataclass(frozen=True)
class DemoPaths:
    """The paths of a demo set."""

    root: Path

    @property
    def unlabelled(self) -> Path:
        """The flat folder of videos without labels."""
        return self.root / "unlabelled"

    @property
    def labelled(self) -> Path:
        """The folder of ``videos`` and ``splits``, as in UCF101."""
        return self.root / "labelled"

    @property
    def videos(self) -> Path:
        """The labelled videos, one folder per class."""
        return self.labelled / "videos"

    @property
    def splits(self) -> Path:
        """The class index and the lists of the three splits."""
        return self.labelled / "splits"

    @property
    def spec(self) -> Path:
        """The file of the spec that the set was generated from."""
        return self.root / "demo.json"


def make_dataset(
    root: Path,
    spec: DemoSpec,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DemoPaths:
    """Generate the demo set, or what is missing of it.

    The spec is written first and each video is written atomically, so the set is complete when all its
    files exist. A complete set is kept as it is, and an interrupted one is continued.

    Args:
        root: The folder; created if missing.
        spec: The contents of the set. Every video is a pure function of the seed and its name.
        workers: Number of worker processes; 1 generates the videos in this process.
        progress: Called with (existing videos, all videos) at the start and as videos are added.

    Raises:
        FastrotError: ``root`` cannot be written, or contains something other than this set.
    """
    paths = DemoPaths(root)
    _claim(paths, spec)
    _write_splits(paths, spec)
    shots = dict(_shots(paths, spec))
    todo = [(path, shot) for path, shot in shots.items() if not path.exists()]
    done = len(shots) - len(todo)
    if progress:
        progress(done, len(shots))
    for made in _film_all(todo, spec, workers):
        done += made
        if progress:
            progress(done, len(shots))
    return paths


def _claim(paths: DemoPaths, spec: DemoSpec) -> None:
    """Write the spec of a new set, or check that the existing set has this spec."""
    wanted = {"version": VERSION, **asdict(spec)}
    if paths.spec.exists():
        try:
            found = json.loads(paths.spec.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != wanted:
            raise FastrotError(
                f"{paths.root} contains a demo set made with other settings: {paths.spec} has {found}, "
                f"expected {wanted}; choose another folder or delete this one"
            )
        return
    if paths.unlabelled.exists() or paths.labelled.exists():
        raise FastrotError(
            f"{paths.root} contains videos but no {paths.spec.name}, so it is not a demo set: "
            "choose another folder"
        )
    write_file(paths.spec, json.dumps(wanted, indent=1) + "\n")


def _group_videos(spec: DemoSpec, group: int) -> Iterator[tuple[str, str, int]]:
    """Yield (class, path below ``videos``, clip number) of a group's videos, in the order of the classes."""
    for action in ACTIONS:
        for clip in range(1, spec.clips_per_group + 1):
            yield action, f"{action}/v_{action}_g{group:02d}_c{clip:02d}.avi", clip


def _test_groups(spec: DemoSpec, split: int) -> range:
    """Return the test groups of a split (from 1); the other splits train on them."""
    each = spec.groups // SPLITS
    return range((split - 1) * each + 1, split * each + 1)


def _write_splits(paths: DemoPaths, spec: DemoSpec) -> None:
    index = {action: number for number, action in enumerate(ACTIONS, start=1)}
    lines = [f"{number} {action}" for action, number in index.items()]
    write_file(paths.splits / "classInd.txt", "\n".join(lines) + "\n")
    for split in range(1, SPLITS + 1):
        train, test = [], []
        for group in range(1, spec.groups + 1):
            for action, path, _ in _group_videos(spec, group):
                if group in _test_groups(spec, split):
                    test.append(path)
                else:
                    train.append(f"{path} {index[action]}")
        # UCF101's lists are sorted by class, then by group.
        write_file(paths.splits / f"trainlist{split:02d}.txt", "\n".join(sorted(train)) + "\n")
        write_file(paths.splits / f"testlist{split:02d}.txt", "\n".join(sorted(test)) + "\n")


def _shots(paths: DemoPaths, spec: DemoSpec) -> Iterator[tuple[Path, Shot]]:
    """Yield the path of every video and its shot."""
    for number in range(1, spec.unlabelled + 1):
        key = f"unlabelled {number}"
        yield paths.unlabelled / f"v_{number:05d}.avi", Shot(key, _draw_action(spec, key), key, key)
    for group in range(1, spec.groups + 1):
        for action, path, clip in _group_videos(spec, group):
            # All classes share the subject and scenes of a group, so neither reveals the class.
            subject, scene = f"group {group}", f"group {group} clip {clip}"
            yield paths.videos / path, Shot(path, action, subject, scene)


def unlabelled_actions(spec: DemoSpec) -> dict[str, str]:
    """Return the action of each unlabelled video by file name; only for the supervised baseline."""
    numbers = range(1, spec.unlabelled + 1)
    return {f"v_{n:05d}.avi": _draw_action(spec, f"unlabelled {n}") for n in numbers}


def _draw_action(spec: DemoSpec, key: str) -> str:
    names = list(ACTIONS)
    return names[stream(spec.seed, f"action {key}").integers(len(names))]


def _film_all(todo: list[tuple[Path, Shot]], spec: DemoSpec, workers: int) -> Iterator[int]:
    """Generate the videos, and yield the number of videos of each finished chunk."""
    chunks = [todo[start : start + _CHUNK] for start in range(0, len(todo), _CHUNK)]
    if workers <= 1 or len(chunks) <= 1:
        for chunk in chunks:
            yield _film_chunk(chunk, spec)
        return
    # Spawn, because the caller may have threads (of torch or DALI), which do not survive a fork.
    with ProcessPoolExecutor(min(workers, len(chunks)), get_context("spawn")) as pool:
        pending = [pool.submit(_film_chunk, chunk, spec) for chunk in chunks]
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            for future in pending:
                future.cancel()


def _film_chunk(chunk: list[tuple[Path, Shot]], spec: DemoSpec) -> int:
    for path, shot in chunk:
        frames = film(
            shot,
            seed=spec.seed,
            frames=spec.frames,
            size=spec.size,
            camera=spec.camera,
            horizon=spec.horizon,
        )
        write_video(path, frames, fps=spec.fps)
    return len(chunk)
