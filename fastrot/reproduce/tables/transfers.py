"""Tables 2, 4 and 5: the gain of pre-training over training from scratch (sections 4.5 and 4.7)."""

from fastrot.reproduce import paper
from fastrot.reproduce.presets import COLUMNS, DATASETS, Dataset, Preset
from fastrot.reproduce.run_plan import Entry, Reading, Table, TrainRun

AGAINST_SCRATCH = "training from scratch"


def table2(preset: Preset) -> Table:
    """Training from scratch and transfer from Kinetics and Moments in Time, on both sets."""
    starts = {
        "3DResNet (scratch)": ("scratch", None),
        "Ours (Kinetics)": ("Kinetics", preset.pretrain("kinetics")),
        "Ours (MT)": ("MT", preset.pretrain("moments")),
    }
    entries = []
    for row, (key, start) in starts.items():
        for dataset in DATASETS:
            column = COLUMNS[dataset]
            entries.append(
                Entry(
                    row,
                    column,
                    paper.TRANSFER[key, column],
                    _seeds(preset, dataset, start),
                    _seeds(preset, dataset, None) if start else (),
                    paper.TRANSFER_GAIN.get((key, column)),
                )
            )
    return Table(
        "table2",
        "Table 2: transfer to action recognition",
        entries,
        against=AGAINST_SCRATCH,
        notes=(paper.SLIPS["table2"], "First split of each set; all weights are trained."),
    )


def table4(preset: Preset) -> Table:
    """The amount of unlabelled videos; a smaller set is part of a larger one."""
    amounts: dict[int | None, TrainRun | None] = {0: None, None: preset.pretrain("kinetics")}
    for amount, videos in preset.fractions.items():
        amounts[amount] = preset.pretrain("kinetics", videos=videos)
    entries = []
    rows: tuple[int | None, ...] = (0, *preset.fractions, None)
    for thousands in rows:
        row = "All" if thousands is None else f"{1000 * thousands:,}"
        if preset.name == "demo" and thousands:
            row += f" (here {preset.fractions[thousands]})"
        for dataset in DATASETS:
            column = COLUMNS[dataset]
            run = preset.finetune(dataset, amounts[thousands])
            scratch = preset.finetune(dataset, None)
            entries.append(
                Entry(
                    row,
                    column,
                    paper.AMOUNT[thousands, column],
                    (preset.top1(run),),
                    (preset.top1(scratch),) if thousands != 0 else (),
                    paper.AMOUNT_GAIN.get((thousands, column)),
                )
            )
    return Table(
        "table4",
        "Table 4: amount of Kinetics videos in pre-training",
        entries,
        against=AGAINST_SCRATCH,
        notes=(
            "All runs have the same number of iterations. Subsets are drawn with the seed and are nested: a "
            f"smaller one is part of a larger one. All is about {paper.KINETICS_VIDEOS:,} in the paper.",
        ),
    )


def table5(preset: Preset) -> Table:
    """Few labelled videos per class on UCF101: training from scratch and transfer."""
    pretrained = preset.pretrain("kinetics")
    entries = []
    for shots in preset.shots:
        row = f"{shots}" if shots else "Full"
        scratch_paper, ours_paper, gain = paper.SHOTS[shots]
        scratch = _seeds(preset, "ucf101", None, shots)
        ours = _seeds(preset, "ucf101", pretrained, shots)
        entries.append(Entry(row, "Scratch", scratch_paper, scratch))
        entries.append(Entry(row, "3DRotNet", ours_paper, ours, scratch, gain))
    return Table(
        "table5",
        "Table 5: few-shot learning on UCF101",
        entries,
        against=AGAINST_SCRATCH,
        notes=(
            paper.SLIPS["table5"],
            "Shots are labelled videos per class. Subsets are drawn with the seed and are nested.",
        ),
    )


def _seeds(
    preset: Preset, dataset: Dataset, start: TrainRun | None, shots: int = 0
) -> tuple[Reading, ...]:
    return tuple(
        preset.top1(preset.finetune(dataset, start, shots=shots, seed=seed))
        for seed in preset.seeds
    )
