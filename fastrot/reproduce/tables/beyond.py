"""Tables that are not in the paper: frozen features, the supervised upper bound, and cheap cues."""

from collections.abc import Sequence
from typing import Literal

from fastrot.evaluation.features import BLOCKS
from fastrot.evaluation.retrieval import K
from fastrot.reproduce.presets import COLUMNS, DATASETS, Preset
from fastrot.reproduce.run_plan import Entry, Reading, Table
from pipelines.store.reading import FITS


def probe(preset: Preset) -> Table:
    """Linear probes of frozen features, block by block, compared with a random network."""
    return _beside_random(
        preset,
        "probe",
        "Linear probes of frozen features",
        BLOCKS,
        "Not in the paper. The network itself is not trained on the labels.",
    )


def retrieval(preset: Preset) -> Table:
    """Nearest neighbours by frozen features, compared with a random network."""
    return _beside_random(
        preset,
        "retrieval",
        "Nearest-neighbour retrieval by frozen features",
        [f"hit at {k}" for k in K],
        "Not in the paper. Published elsewhere for rotation alone on UCF101: 14.2 at 1, compared with 15.3 "
        "for a random network.",
    )


def _beside_random(
    preset: Preset,
    kind: Literal["probe", "retrieval"],
    title: str,
    results: Sequence[str],
    note: str,
) -> Table:
    """Return a table with two rows for each result of a measurement: the random network's and ours."""
    pretrained = preset.pretrain("kinetics")
    entries = []
    for dataset in DATASETS:
        measured = preset.features(kind, pretrained, dataset)
        for at, result in enumerate(results):
            random = (Reading(measured, "random", at),)
            ours = (Reading(measured, "trained", at),)
            entries.append(Entry(f"{result}, random network", COLUMNS[dataset], None, random))
            entries.append(Entry(f"{result}, 3DRotNet", COLUMNS[dataset], None, ours, random))
    return Table(
        kind,
        title,
        entries,
        against="the random network",
        notes=(note,),
    )


def supervised(preset: Preset) -> Table:
    """The upper bound: the same network pre-trained on the pool's labels."""
    starts = {
        "3DResNet (scratch)": None,
        "3DRotNet (Kinetics)": preset.pretrain("kinetics"),
        "3DResNet (Kinetics, supervised)": preset.supervised(),
    }
    published = {
        ("3DResNet (Kinetics, supervised)", "UCF101"): 84.4,
        ("3DResNet (Kinetics, supervised)", "HMDB51"): 56.4,
    }
    entries = []
    for row, start in starts.items():
        for dataset in DATASETS:
            run = (preset.top1(preset.finetune(dataset, start)),)
            scratch = (preset.top1(preset.finetune(dataset, None)),) if start else ()
            entries.append(
                Entry(
                    row,
                    COLUMNS[dataset],
                    published.get((row, COLUMNS[dataset])),
                    run,
                    scratch,
                    source="Hara et al., in the paper's table 7",
                )
            )
    return Table(
        "supervised",
        "Supervised pre-training as the upper bound",
        entries,
        against="training from scratch",
        notes=(
            "Our supervised network is trained on the labels of the pre-training videos, with as many "
            "iterations and clips as rotation prediction. First split of each set.",
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
            Entry(row, "Rotation accuracy", None, (accuracy,), 25.0),
            Entry(row, "UCF101 top-1", None, (preset.top1(run),), (preset.top1(scratch),)),
        ]
    return Table(
        "fit",
        "Stretched frames compared with cropped ones, RGB",
        entries,
        against="chance (25 %), and training from scratch",
        notes=(
            "Not in the paper, which stretches frames. Stretching changes one side more than the other, so "
            "the texture alone reveals the rotation: a cheap cue.",
        ),
    )


def audit(preset: Preset) -> Table:
    """The rotation accuracy on noise; more than chance shows that the store itself reveals the rotation."""
    entries = []
    rows = {f"{codec} store": f"noise-{codec}" for codec in preset.noise_codecs}
    rows |= {f"4:3 noise, --fit {chosen}": f"noise-{chosen}" for chosen in FITS}
    for row, store in rows.items():
        accuracy = preset.rotation_accuracy(preset.noise(store), store, "test")
        entries.append(Entry(row, "Rotation accuracy", None, (accuracy,), 25.0))
    return Table(
        "audit",
        "Audit of cheap cues: rotations of videos without content",
        entries,
        against="chance, 25 %",
        notes=(
            "Noise that looks the same in all four rotations, classified by a small network that was trained "
            "on other such noise. If a store reveals nothing, the accuracy is chance. The rows of 4:3 frames "
            "show how much making the frames square reveals.",
        ),
    )
