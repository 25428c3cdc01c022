"""The value of a reading: a number of one measurement with everything that its error needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrot.evaluation.fusion import fuse
from fastrot.evaluation.scores import FILE as SCORES
from fastrot.evaluation.scores import Scores
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.run_plan import Difference, Fusion, Measurement, Reading, TrainRun
from fastrot.reproduce.statistics import Part, binomial_error
from fastrot.runs.training_accuracy import CONVERGED, training_accuracy

TOP1 = "video_top1"
Budget = tuple[int | None, float | None, int]
"""Iterations, epochs and labelled videos per class of a fine-tuning."""


@dataclass(frozen=True, eq=False)
class Value:
    """One number of one measurement, in % unless the reading has another scale.

    Attributes:
        reading: Where it was read.
        number: The number.
        clip: The same per clip, if measured.
        error: Its standard error over the test videos with the degrees of freedom, or None if unknown.
        paired: Standard error of its difference to the random network of the same measurement.
        chance: The chance level, if the measurement computed it.
        train: Last training accuracy in % of a fine-tuned network.
    """

    reading: Reading
    number: float
    clip: float | None
    error: Part | None
    paired: Part | None
    chance: float | None
    train: float | None

    @property
    def measurement(self) -> Measurement:
        """The measurement, or the first one of two."""
        return self.reading.measurements[0]

    @property
    def seed(self) -> int:
        """The seed of the measured run."""
        return self.measurement.of.run.config.seed

    @property
    def split(self) -> str:
        """The test split."""
        return self.measurement.split

    @property
    def converged(self) -> bool | None:
        """Whether the network was trained to the end; None if unknown.

        It is unknown with frozen blocks: they limit the training accuracy, however long the training.
        """
        if self.train is None or self.measurement.of.run.config.model.freeze:
            return None
        return self.train >= CONVERGED

    @property
    def budget(self) -> Budget | None:
        """What the spread over seeds depends on; None if the number is not of a fine-tuned network."""
        single = isinstance(self.reading.source, Measurement)
        if not single or self.measurement.kind != "action":
            return None
        config = self.measurement.of.run.config
        return config.train.iterations, config.train.epochs, config.data.shots


def read_values(readings: Sequence[Reading], workshop: Workshop) -> list[Value] | None:
    """Return the values of the readings, or None if there are none or one was not measured.

    Raises:
        FastrotError: A results file is damaged.
    """
    values = []
    for reading in readings:
        value = _read(reading, workshop)
        if value is None:
            return None
        values.append(value)
    return values or None


def runs_of(values: Sequence[Value]) -> Iterator[tuple[str, TrainRun]]:
    """Return the measured runs and those that they start from, each with its stage."""
    for value in values:
        for measurement in value.reading.measurements:
            run = measurement.of.run
            yield ("fine-tuning" if measurement.kind == "action" else "pre-training"), run
            while run.start is not None:
                run = run.start.run
                yield "pre-training", run


def right_videos(value: Value, workshop: Workshop) -> dict[str, bool] | None:
    """Return whether the top-1 answer of each test video is right, or None if no scores are saved."""
    scores = _scores(value.reading, workshop) if value.reading.key == TOP1 else None
    if scores is None:
        return None
    right: NDArray[np.bool_] = scores.softmax.argmax(axis=1) == scores.labels
    return dict(zip(scores.names, right.tolist(), strict=True))


def _scores(reading: Reading, workshop: Workshop) -> Scores | None:
    if isinstance(reading.source, Difference):
        return None
    files = [workshop.measurement_folder(each) / SCORES for each in reading.measurements]
    if not all(file.exists() for file in files):
        return None
    return fuse(*files)[1] if isinstance(reading.source, Fusion) else Scores.load(files[0])


def _read(reading: Reading, workshop: Workshop) -> Value | None:
    all_results = [workshop.results(each) for each in reading.measurements]
    if any(results is None for results in all_results):
        return None
    if isinstance(reading.source, Fusion):
        scores = _scores(reading, workshop)
        if scores is None:
            return None
        percent = 100 * scores.top(1)
        error = binomial_error(percent, len(scores.names)), float("inf")
        train = _train(reading, workshop)
        return Value(reading, percent, None, error, None, None, train)
    if isinstance(reading.source, Difference):
        first, second = (_at(results[reading.key], reading) for results in all_results if results)
        number = reading.scale * (first - second)
        return Value(reading, number, None, None, None, None, _train(reading, workshop))
    (results,) = all_results
    assert results is not None
    found = _at(results[reading.key], reading)
    return Value(
        reading,
        reading.scale * found,
        100 * float(results[reading.clip_key]) if reading.clip_key else None,
        _error(reading, results),
        _clustered(reading, results, "difference_standard_error"),
        100 * _at(results["chance"], reading) if "chance" in results else None,
        _train(reading, workshop),
    )


def _at(value: Any, reading: Reading) -> float:
    return float(value if reading.at is None else value[reading.at])


def _error(reading: Reading, results: dict[str, Any]) -> Part | None:
    key = reading.error_key or f"{reading.key}_standard_error"
    if results.get(key) is not None:
        return _clustered(reading, results, key)
    if reading.scale != 100:
        return None  # not a share of the videos
    percent = 100 * _at(results[reading.key], reading)
    return binomial_error(percent, int(results["protocol"]["videos"])), float("inf")


def _clustered(reading: Reading, results: dict[str, Any], key: str) -> Part | None:
    """Return an error that the measurement computed over its videos; None if it has none."""
    if results.get(key) is None:
        return None
    error = results[key] if reading.at is None else results[key][reading.at]
    if error is None:
        return None
    return reading.scale * float(error), max(int(results["protocol"]["videos"]) - 1, 1)


def _train(reading: Reading, workshop: Workshop) -> float | None:
    """Return the last training accuracy of a fine-tuned network, or the lower one of two networks."""
    found = []
    for measurement in reading.measurements:
        folder = workshop.finished_folder(measurement.of.run)
        accuracy = None
        if measurement.kind == "action" and folder is not None:
            accuracy = training_accuracy(folder)
        if accuracy is None:
            return None
        found.append(accuracy)
    return min(found)
