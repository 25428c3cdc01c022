"""Columns of a table that show how well the pretext task itself is solved on unseen videos (section 4.3)."""

from collections.abc import Sequence

from fastrot.config.schema import RotationConfig
from fastrot.reproduce.presets import Preset
from fastrot.reproduce.run_plan import Entry, TrainRun
from fastrot.tasks import RegressionTask

ACCURACY = "Pretext accuracy"
ERROR = "Angular error in degrees"
RANDOM_ERROR = 90.0
"""Mean angular error of random answers in degrees: errors around the circle are uniform from 0 to 180."""

NOTE = (
    f"{ACCURACY}: share of correctly recognised rotations of UCF101's test videos (split 1), one centre clip "
    "per video."
)


def accuracy(
    preset: Preset, row: str, networks: Sequence[TrainRun], store: str = "ucf101"
) -> Entry:
    """Return the pretext accuracy of the networks on the test videos of split 1."""
    readings = tuple(preset.rotation_accuracy(network, store, "test1") for network in networks)
    return Entry(row, ACCURACY, None, readings, chance=chance(networks[0].config.rotation))


def angular_error(preset: Preset, row: str, network: TrainRun) -> Entry:
    """Return the mean angular error of a network that predicts the angle, compared with random answers."""
    reading = preset.angular_error(network, "ucf101", "test1")
    return Entry(row, ERROR, None, (reading,), RANDOM_ERROR, chance=RANDOM_ERROR, lower=True)


def chance(rotation: RotationConfig) -> float:
    """Return the pretext accuracy of random answers in %."""
    if rotation.kind == "regress":
        return 100 * 2 * RegressionTask.RIGHT_WITHIN / 360
    return 100 / len(rotation.degrees)
