"""Tables that are not in the paper: frozen features, the supervised upper bound, and stretched frames."""

from collections.abc import Sequence
from typing import Literal

from fastrot.evaluation.features import BLOCKS
from fastrot.evaluation.retrieval import K
from fastrot.reproduce.presets import COLUMNS, DATASETS, Preset
from fastrot.reproduce.run_plan import Entry, Reading, Table
from fastrot.reproduce.tables.lengths import short_note
from fastrot.reproduce.tables.transfers import (
    AGAINST_SCRATCH,
    from_kinetics,
    of_table_2,
    one_pretraining,
    scratch,
)
from pipelines.store.reading import FITS


def probe(preset: Preset) -> Table:
    """Linear probes of frozen features, block by block, compared with a random network."""
    return _beside_random(
        preset,
        "probe",
        "Linear probes of frozen features",
        BLOCKS,
        ("Not in the paper. The network itself is not trained on the labels.",),
    )


def retrieval(preset: Preset) -> Table:
    """Nearest neighbours by frozen features, compared with a random network."""
    return _beside_random(
        preset,
        "retrieval",
        "Nearest-neighbour retrieval by frozen features",
        [f"hit at {k}" for k in K],
        ("Not in the paper.",),
        (
            "Published elsewhere for rotation alone on UCF101: 14.2 at 1, compared with 15.3 for a random "
            "network.",
        ),
    )


def _beside_random(
    preset: Preset,
    kind: Literal["probe", "retrieval"],
    title: str,
    results: Sequence[str],
    notes: tuple[str, ...],
    paper_notes: tuple[str, ...] = (),
) -> Table:
    """Return a table with two rows for each result of a measurement: the random network's and ours."""
    pretrained = preset.pretrain("kinetics")
    entries = []
    for dataset in DATASETS:
        measured = preset.features(kind, pretrained, dataset)
        for at, result in enumerate(results):
            random = (Reading(measured, "random", at),)
            ours = (Reading(measured, "trained", at),)
            column = COLUMNS[dataset]
            # The chance of a hit depends on the number of neighbours and the size of the classes.
            chance = preset.chance(dataset) if kind == "probe" else None
            entries += [
                Entry(f"{result}, random network", column, None, random, chance=chance),
                Entry(f"{result}, 3DRotNet", column, None, ours, random, chance=chance),
            ]
    return Table(
        kind,
        title,
        entries,
        against="the random network",
        notes=(*notes, *one_pretraining(preset)),
        paper_notes=paper_notes,
    )


def supervised(preset: Preset) -> Table:
    """The upper bound: the same network pre-trained on the pool's labels."""
    published = {
        ("3DResNet (Kinetics, supervised)", "UCF101"): 84.4,
        ("3DResNet (Kinetics, supervised)", "HMDB51"): 56.4,
    }
    rival, rotations = preset.supervised(), preset.pretrain("kinetics")
    entries = []
    for dataset in DATASETS:
        column = COLUMNS[dataset]
        baseline = scratch(preset, dataset)
        rows = {
            "3DResNet (scratch)": baseline,
            "3DRotNet (Kinetics)": from_kinetics(preset, dataset),
            "3DResNet (Kinetics, supervised)": (preset.top1(preset.finetune(dataset, rival)),),
        }
        entries += [
            Entry(
                row,
                column,
                published.get((row, column)),
                ours,
                () if ours is baseline else baseline,
                source="Hara et al., in the paper's table 7",
                chance=preset.chance(dataset),
            )
            for row, ours in rows.items()
        ]
    return Table(
        "supervised",
        "Supervised pre-training as the upper bound",
        entries,
        against=AGAINST_SCRATCH,
        notes=(
            "Our supervised network is trained on the labels of the pre-training videos, with as many "
            "iterations and clips as rotation prediction. Labels: videos of the split "
            f"`{rival.config.data.split}`; rotations: `{rotations.config.data.split}`.",
            "First split of each labelled set.",
            *of_table_2(preset, "scratch and 3DRotNet"),
        ),
    )


def fit(preset: Preset) -> Table:
    """Frames stretched to a square, as in the paper, compared with a square cropped from the centre."""
    entries = []
    for chosen in FITS:
        pretrained = preset.pretrain("kinetics", modality="rgb", fit=chosen)
        run = preset.finetune("ucf101", pretrained, modality="rgb", fit=chosen)
        scratch = preset.finetune("ucf101", None, modality="rgb", fit=chosen)
        accuracy = preset.rotation_accuracy(pretrained, f"ucf101-{chosen}", "test1")
        row = f"--fit {chosen}"
        entries += [
            Entry(row, "Rotation accuracy", None, (accuracy,), 25.0, chance=25.0),
            Entry(
                row,
                "UCF101 top-1",
                None,
                (preset.top1(run),),
                (preset.top1(scratch),),
                chance=preset.chance("ucf101"),
            ),
        ]
    return Table(
        "fit",
        "Stretched frames compared with cropped ones, RGB",
        entries,
        against="chance (25 %), and training from scratch",
        notes=(
            "Not in the paper, which stretches frames. Stretching changes one side more than the other, so "
            "the texture alone reveals the rotation: a cheap cue.",
            *short_note(preset),
            *one_pretraining(preset),
        ),
    )
