"""Table 1, rotation accuracy, and Table 3, sets of rotations (sections 4.3 and 4.6)."""

from fastrot.reproduce import paper
from fastrot.reproduce.presets import COLUMNS, DATASETS, ROTATIONS, Preset
from fastrot.reproduce.run_plan import Entry, Table
from fastrot.reproduce.tables import pretext_columns
from fastrot.reproduce.tables.transfers import (
    from_kinetics,
    networks_of_seeds,
    of_table_2,
    one_pretraining,
)
from fastrot.rotation.angles import SIGMA, inscribed_size
from fastrot.tasks import RegressionTask


def table1(preset: Preset) -> Table:
    """Rotation accuracy on all videos of both sets, of the networks of both pools."""
    networks = {"Kinetics": preset.pretrain("kinetics"), "MT": preset.pretrain("moments")}
    entries = [
        Entry(
            row,
            COLUMNS[dataset],
            paper.ROTATION[row, COLUMNS[dataset]],
            (preset.rotation_accuracy(network, dataset),),
            25.0,
            chance=25.0,
        )
        for row, network in networks.items()
        for dataset in DATASETS
    ]
    return Table(
        "table1",
        "Table 1: accuracy of recognising four rotations",
        entries,
        against="chance, 25 %",
        paper_notes=(paper.SLIPS["table1"],),
        notes=(
            "All videos of each set, not used in training; one centre clip per video.",
            *one_pretraining(preset),
        ),
    )


def table3(preset: Preset) -> Table:
    """Transfer to UCF101 from five sets of rotations and from the regression of the angle."""
    four = from_kinetics(preset, "ucf101")
    rows: list[tuple[str, str, float, float | None, str]] = [
        (
            ", ".join(f"{turn}" for turn in degrees),
            "+".join(map(str, degrees)),
            paper.ROTATION_SETS[degrees],
            paper.ROTATION_SETS_LOSS.get(degrees),
            "the paper",
        )
        for degrees in paper.ROTATION_SETS
    ]
    text = "the paper's section 4.6"
    eight = "+".join(str(45 * step) for step in range(8))
    rows += [
        ("8 rotations, 45 apart", eight, paper.EIGHT_ROTATIONS, paper.EIGHT_ROTATIONS_LOSS, text),
        ("360, by regression", "360", paper.REGRESSION, paper.REGRESSION_LOSS, text),
    ]
    entries = []
    for row, rotation, published, loss, source in rows:
        pretrained = preset.pretrain("kinetics", rotation=rotation)
        other = (preset.top1(preset.finetune("ucf101", pretrained)),)
        ours, against = (four, ()) if rotation == ROTATIONS else (other, four)
        entries.append(
            Entry(
                row,
                "UCF101",
                published,
                ours,
                against,
                loss,
                source=source,
                chance=preset.chance("ucf101"),
            )
        )
        networks = networks_of_seeds(preset) if rotation == ROTATIONS else (pretrained,)
        entries.append(pretext_columns.accuracy(preset, row, networks))
        if rotation == "360":
            entries.append(pretext_columns.angular_error(preset, row, pretrained))
    crop = pretrained.config.data.crop
    return Table(
        "table3",
        "Table 3: sets of rotations in the pretext task",
        entries,
        against="the four rotations; for the angular error, from random answers (90)",
        paper_notes=("The last two rows are from the paper's text (section 4.6).",),
        notes=(
            "Rotations in degrees. All runs have the same number of iterations, so smaller sets of rotations "
            "see fewer clips.",
            f"8 rotations and 360 see a patch of {inscribed_size(crop)} of {crop} pixels, which is inside "
            f"the clip at every angle, blurred by a Gaussian of {SIGMA} pixels. Other rows see whole clips.",
            f"{pretext_columns.NOTE} 360: share of predictions within {RegressionTask.RIGHT_WITHIN} degrees.",
            *of_table_2(preset, "the four rotations"),
        ),
    )
