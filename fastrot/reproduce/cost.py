"""What a plan costs: floating-point operations by arithmetic, hours by a measured rate."""

import json
from dataclasses import dataclass
from pathlib import Path

from fastrot.config import Config
from fastrot.config.schema import RotationConfig
from fastrot.models.flops import forward_flops, train_flops
from fastrot.reproduce.run_plan import Measurement, TrainRun
from pipelines.errors import FastrotError, UsageError

CPU_CLIPS_PER_S = 190.0
"""Of the demo's network (width 8, clips of 8x56x56) in training, measured on two AVX-512 cores."""

OVERHEAD_S = 3.0
"""Of starting a run or a measurement of the demo, measured on the same."""


@dataclass(frozen=True)
class Rate:
    """How fast a machine trains: TFLOP/s, and where that is known from."""

    tflops: float
    source: str

    def hours(self, flop: float) -> float:
        """Return the hours that so many operations take."""
        return flop / (1e12 * self.tflops) / 3600


def cpu_rate() -> Rate:
    """Return the rate of the two cores that the demo preset is sized for."""
    flop = CPU_CLIPS_PER_S * train_flops(18, 8, 8, 56)
    return Rate(flop / 1e12, f"{CPU_CLIPS_PER_S:.0f} clips/s of the demo's network on two cores")


def read_rate(text: str) -> Rate:
    """Read ``--rate``: TFLOP/s as a number, or the JSON of ``fastrot bench train`` (its fastest case).

    Raises:
        UsageError: It is neither.
        FastrotError: The file has no rates of training.
    """
    try:
        tflops = float(text)
    except ValueError:
        return _rate_of_file(Path(text))
    if not 0 < tflops < float("inf"):
        raise UsageError(f"--rate is {text}: it must be above 0, in TFLOP/s")
    return Rate(tflops, "as given")


def _rate_of_file(path: Path) -> Rate:
    try:
        content = json.loads(path.read_text())
        cases = [case["figures"] for result in content["results"] for case in result["cases"]]
        rates = [figures["tflop_per_s"]["median"] for figures in cases if "tflop_per_s" in figures]
    except OSError as error:
        raise UsageError(
            f"--rate is {path}: neither a number of TFLOP/s nor a readable file ({error})"
        ) from None
    except (ValueError, KeyError, TypeError):
        rates = []
    if not rates:
        raise FastrotError(
            f"{path} has no rates of training: give the JSON of `fastrot bench train`"
        )
    return Rate(max(rates), str(path))


def views(rotation: RotationConfig) -> int:
    """Return how many clips the network sees of each clip of the batch."""
    return rotation.views if rotation.kind == "regress" else len(rotation.degrees)


def train_flop(run: TrainRun, videos: int | None) -> float | None:
    """Return a training's operations; None where it counts in epochs of unknown many ``videos``."""
    config = run.config
    if config.train.iterations is not None:
        samples = float(config.train.iterations * config.train.batch)
    elif videos is None:
        return None
    else:
        assert config.train.epochs is not None
        samples = config.train.epochs * videos
    clips = samples * (views(config.rotation) if config.task == "rotation" else 1)
    return clips * _clip_flop(config, train=True)


def measure_flop(measurement: Measurement, videos: int | None) -> float | None:
    """Return a measurement's operations, of known many ``videos`` (training ones of a probe included)."""
    if videos is None:
        return None
    config = measurement.of.run.config
    clips = videos * measurement.clips
    if measurement.kind == "rotation":
        clips *= views(config.rotation)
    elif measurement.kind in ("probe", "retrieval"):
        clips *= 2  # the random network's too
    return clips * _clip_flop(config, train=False)


def _clip_flop(config: Config, *, train: bool) -> int:
    count = train_flops if train else forward_flops
    model, data = config.model, config.data
    return count(model.depth, model.width, data.frames, data.crop, model.shortcut)
