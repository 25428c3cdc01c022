"""The cost of a plan: computed floating-point operations, and hours at a measured rate."""

import json
from dataclasses import dataclass
from pathlib import Path

from fastrot.config import Config
from fastrot.models.flops import forward_flops, train_flops
from fastrot.reproduce.run_plan import Measurement, TrainRun
from fastrot.tasks import make_task
from pipelines.errors import FastrotError, UsageError

CPU_CLIPS_PER_S, CPU_CLIPS_PER_S_IN_JOBS = 190.0, 285.0
"""Training rate of the demo's network (width 8, clips of 8x56x56), measured on two AVX-512 cores: of one run
on both cores, and of two runs on one core each together."""

OVERHEAD_S = 3.0
"""Time to start a run or a measurement of the demo, measured on the same cores."""


@dataclass(frozen=True)
class Rate:
    """Training speed of a machine in TFLOP/s, the source of this number, and the runs at a time."""

    tflops: float
    source: str
    jobs: int = 1

    def hours(self, flop: float) -> float:
        """Return the hours that a number of operations takes."""
        return flop / (1e12 * self.tflops) / 3600


def cpu_rate(jobs: int = 1) -> Rate:
    """Return the rate of two CPU cores, for which the demo preset is sized.

    Args:
        jobs: Number of runs at a time; more than two count as two.
    """
    clips = CPU_CLIPS_PER_S if jobs == 1 else CPU_CLIPS_PER_S_IN_JOBS
    flop = clips * train_flops(18, 8, 8, 56)
    return Rate(
        flop / 1e12, f"{clips:.0f} clips/s of the demo's network on two cores", min(jobs, 2)
    )


def read_rate(text: str) -> Rate:
    """Read ``--rate``: a number of TFLOP/s, or a JSON file of ``fastrot bench train`` (its fastest case).

    Raises:
        UsageError: The text is neither.
        FastrotError: The file contains no training rates.
    """
    try:
        tflops = float(text)
    except ValueError:
        return _rate_of_file(Path(text))
    if not 0 < tflops < float("inf"):
        raise UsageError(f"--rate is {text}: it must be a number of TFLOP/s greater than 0")
    return Rate(tflops, "from --rate")


def _rate_of_file(path: Path) -> Rate:
    try:
        content = json.loads(path.read_text())
        cases = [case["figures"] for result in content["results"] for case in result["cases"]]
        rates = [figures["tflop_per_s"]["median"] for figures in cases if "tflop_per_s" in figures]
    except OSError as error:
        raise UsageError(
            f"--rate is {path}: it is neither a number of TFLOP/s nor a readable file ({error})"
        ) from None
    except (ValueError, KeyError, TypeError):
        rates = []
    if not rates:
        raise FastrotError(
            f"{path} contains no training rates: give the JSON file of `fastrot bench train`"
        )
    return Rate(max(rates), str(path))


def train_flop(run: TrainRun, videos: int | None) -> float | None:
    """Return the operations of a run, or None if its length is in epochs and ``videos`` is None."""
    config = run.config
    if config.train.iterations is not None:
        samples = float(config.train.iterations * config.train.batch)
    elif videos is None:
        return None
    else:
        assert config.train.epochs is not None
        samples = config.train.epochs * videos
    views, size = network_input(config)
    model = config.model
    flop = train_flops(
        model.depth,
        model.width,
        config.data.frames,
        size,
        model.shortcut,
        frozen=model.freeze,
    )
    return samples * views * flop


def measure_flop(measurement: Measurement, videos: int | None) -> float | None:
    """Return the operations of a measurement, or None if ``videos`` (with a probe's training videos) is."""
    if videos is None:
        return None
    config = measurement.of.run.config
    views, size = network_input(config)
    clips = videos * measurement.clips
    if measurement.kind == "rotation":
        clips *= views * max(1, len(config.rotation.speeds))
    elif measurement.kind in ("probe", "retrieval"):
        clips *= 2  # also the random network
        size = config.data.crop  # of upright clips
    model = config.model
    flop = forward_flops(model.depth, model.width, config.data.frames, size, model.shortcut)
    return clips * flop


def network_input(config: Config) -> tuple[int, int]:
    """Return how many rotated views of a clip the network sees, and their side in pixels."""
    if config.task != "rotation":
        return 1, config.data.crop
    task = make_task(config, ())
    return task.views, task.input_size(config.data.crop)
