"""The audit of cheap cues: rotations of noise, which only the store itself could reveal."""

from dataclasses import replace

from fastrot.reproduce.noise_stores import KINDS
from fastrot.reproduce.presets import Preset
from fastrot.reproduce.run_plan import Entry, Reading, Table
from pipelines.store.codecs import CODECS

ROWS = {
    **{f"{codec} store": codec for codec in CODECS},
    "noise reduced by 2": "half",
    "4:3 noise, --fit crop": "crop",
    "4:3 noise, --fit stretch": "stretch",
    "4:2:0 JPEGs, chroma halved alike along both axes": "420-equal",
    "control: 4:2:0 JPEGs by FFmpeg's default": "420",
    "control: lowest line black": "border",
    "control: 2 % wider noise, --fit stretch": "wider",
}
"""The rows and their kinds of noise."""

COLUMNS = {"Rotation accuracy": ("accuracy", 25.0), "Axis accuracy": ("axis", 50.0)}
"""The columns with the start of their keys in the results, and chance in %."""


def audit(preset: Preset) -> Table:
    """The rotation accuracy on noise; more than chance shows that the store itself reveals the rotation."""
    entries, impossible = [], {}
    for row, kind in ROWS.items():
        store = f"noise-{kind}"
        run = preset.noise(store)
        reason = _obstacle(KINDS[kind].codec, run.config.data.crop, gpu=preset.gpu)
        if reason:
            impossible[row] = reason
            entries += [Entry(row, column) for column in COLUMNS]
            continue
        accuracy = preset.rotation_accuracy(run, store, "test")
        entries += [
            Entry(row, column, None, (_named(accuracy, key),), chance, chance=chance)
            for column, (key, chance) in COLUMNS.items()
        ]
    return Table(
        "audit",
        "Audit of cheap cues: rotations of videos without content",
        entries,
        against="chance, 25 % and 50 %",
        notes=(
            "Noise that looks the same in all four rotations, classified by a small network that was trained "
            "on other such noise. If a store reveals nothing, both accuracies are chance. Frames are not "
            "cropped, so that the network sees their borders.",
            "The axis is 0 or 180 degrees, or 90 or 270. A resize can reveal no more than the axis, and this "
            "column finds it sooner.",
            "The rows of controls have a cue that was put there on purpose, and so does --fit stretch, which "
            "the paper uses. If the network does not find a control, the other rows cannot rule out a cue of "
            "that size.",
        ),
        impossible=impossible,
    )


def _named(reading: Reading, key: str) -> Reading:
    value = "accuracy" if key == "accuracy" else f"{key}_accuracy"
    return replace(reading, key=value, error_key=f"{key}_standard_error")


def _obstacle(codec: str, size: int, *, gpu: bool) -> str:
    """Return why a store of this codec and frame size cannot be read, or nothing."""
    least = CODECS[codec].least
    return f"GPUs decode {codec} only from {least} pixels up" if gpu and size < least else ""
