"""Tables 2, 4, 5 and ``budget``: the gain of pre-training over scratch (sections 4.5 and 4.7)."""

from fastrot.reproduce import paper
from fastrot.reproduce.presets import COLUMNS, DATASETS, Dataset, Preset
from fastrot.reproduce.run_plan import Entry, Reading, Table, TrainRun
from fastrot.reproduce.tables import pretext_columns

AGAINST_SCRATCH = "training from scratch"


def table2(preset: Preset) -> Table:
    """Training from scratch and transfer from Kinetics and Moments in Time, on both sets."""
    rows = {
        paper.SCRATCH if preset.name == "paper" else paper.OWN_SCRATCH: ("scratch", scratch),
        "Ours (Kinetics)": ("Kinetics", from_kinetics),
        "Ours (MT)": ("MT", _from_moments),
    }
    entries = []
    for row, (key, ours) in rows.items():
        for dataset in DATASETS:
            column = COLUMNS[dataset]
            entries.append(
                Entry(
                    row,
                    column,
                    paper.TRANSFER[key, column],
                    ours(preset, dataset),
                    () if key == "scratch" else scratch(preset, dataset),
                    paper.TRANSFER_GAIN.get((key, column)),
                    source=paper.HARA if key == "scratch" else "the paper",
                    chance=preset.chance(dataset),
                )
            )
    return Table(
        "table2",
        "Table 2: transfer to action recognition",
        entries,
        against=AGAINST_SCRATCH,
        paper_notes=(paper.SLIPS["table2"], paper.SLIPS["scratch"]),
        notes=(
            "First split of each set; all weights are trained.",
            *own_pretraining(
                preset, "Ours (Kinetics) on UCF101", "Ours (MT), and Ours (Kinetics) on HMDB51"
            ),
        ),
    )


def table4(preset: Preset) -> Table:
    """The amount of unlabelled videos; a smaller set is part of a larger one."""
    networks: dict[int | None, tuple[TrainRun, ...]] = {
        amount: (preset.pretrain("kinetics", videos=videos),)
        for amount, videos in preset.fractions.items()
    }
    networks[None] = networks_of_seeds(preset)
    ours: dict[tuple[int | None, Dataset], tuple[Reading, ...]] = {}
    for dataset in DATASETS:
        ours[0, dataset] = scratch(preset, dataset)
        for amount in preset.fractions:
            run = preset.finetune(dataset, *networks[amount])
            ours[amount, dataset] = (preset.top1(run),)
        ours[None, dataset] = from_kinetics(preset, dataset)
    entries = []
    rows: tuple[int | None, ...] = (0, *preset.fractions, None)
    for thousands in rows:
        row = "All" if thousands is None else f"{1000 * thousands:,}"
        if preset.name == "demo" and thousands:
            row += f" (here {preset.fractions[thousands]})"
        for dataset in DATASETS:
            column = COLUMNS[dataset]
            entries.append(
                Entry(
                    row,
                    column,
                    paper.AMOUNT[thousands, column],
                    ours[thousands, dataset],
                    ours[0, dataset] if thousands != 0 else (),
                    paper.AMOUNT_GAIN.get((thousands, column)),
                    chance=preset.chance(dataset),
                )
            )
        if thousands != 0:
            entries.append(pretext_columns.accuracy(preset, row, networks[thousands]))
    return Table(
        "table4",
        "Table 4: amount of Kinetics videos in pre-training",
        entries,
        against=AGAINST_SCRATCH,
        paper_notes=(
            paper.SLIPS["scratch"],
            f"All is about {paper.KINETICS_VIDEOS:,} videos in the paper.",
        ),
        notes=(
            "All runs have the same number of iterations. Subsets are drawn with the seed and are nested: a "
            "smaller one is part of a larger one.",
            pretext_columns.NOTE,
            *of_table_2(preset, "0 and All"),
        ),
    )


def table5(preset: Preset) -> Table:
    """Few labelled videos per class on UCF101: training from scratch and transfer."""
    entries = []
    for shots in preset.shots:
        row = f"{shots}" if shots else "Full"
        scratch_paper, ours_paper, gain = paper.SHOTS[shots]
        baseline = scratch(preset, "ucf101", shots=shots)
        ours = from_kinetics(preset, "ucf101", shots=shots)
        chance = preset.chance("ucf101")
        entries += [
            Entry(row, "Scratch", scratch_paper, baseline, chance=chance),
            Entry(row, "3DRotNet", ours_paper, ours, baseline, gain, chance=chance),
        ]
    return Table(
        "table5",
        "Table 5: few-shot learning on UCF101",
        entries,
        against=AGAINST_SCRATCH,
        paper_notes=(paper.SLIPS["table5"], paper.SLIPS["scratch"]),
        notes=(
            "Shots are labelled videos per class. Subsets are drawn with the seed and are nested.",
            *own_pretraining(
                preset, "3DRotNet in the rows 5 and Full", "3DRotNet in the other rows"
            ),
        ),
    )


def budget(preset: Preset) -> Table:
    """The gain on UCF101 after short and long fine-tuning; not in the paper."""
    entries = []
    for length in preset.budgets:
        baseline = scratch(preset, "ucf101", budget=length)
        ours = from_kinetics(preset, "ucf101", budget=length)
        row = preset.finetune("ucf101", None, budget=length).length
        entries += [
            Entry(row, "Scratch", None, baseline, chance=preset.chance("ucf101")),
            Entry(row, "3DRotNet", None, ours, baseline, chance=preset.chance("ucf101")),
        ]
    return Table(
        "budget",
        "Gain over scratch against fine-tuning steps",
        entries,
        against=AGAINST_SCRATCH,
        notes=(
            "Not in the paper. UCF101, split 1; all weights are trained. Every length has its own runs with "
            "a whole schedule of the learning rate. A gain that shrinks with the length is partly faster "
            "convergence.",
            *own_pretraining(preset, "3DRotNet"),
        ),
    )


def own_pretraining(preset: Preset, own: str, shared: str = "") -> tuple[str, ...]:
    """Return a note on the rows with a pre-training for each seed or for all, if there are several seeds."""
    if len(preset.seeds) == 1:
        return ()
    note = f"{own}: every seed has its own pre-training."
    if shared:
        note += (
            f" {shared}: all seeds start from one, so ± does not cover how pre-trainings differ."
        )
    return (note,)


def one_pretraining(preset: Preset) -> tuple[str, ...]:
    """Return a note on the tables without several pre-trainings of a kind, if there are several seeds."""
    if len(preset.seeds) == 1:
        return ()
    return ("One pre-training of each kind: ± does not cover how pre-trainings differ.",)


def of_table_2(preset: Preset, rows: str) -> tuple[str, ...]:
    """Return a note on the rows that are numbers of Table 2, if that has several seeds."""
    if len(preset.seeds) == 1:
        return ()
    return (f"Means over the seeds of Table 2: {rows}. Other rows: one run.",)


def scratch(
    preset: Preset, dataset: Dataset, *, shots: int = 0, budget: int = 0
) -> tuple[Reading, ...]:
    """Return training from scratch with every seed: the baseline of all tables."""
    return tuple(
        preset.top1(preset.finetune(dataset, None, shots=shots, seed=seed, budget=budget))
        for seed in preset.seeds
    )


def from_kinetics(
    preset: Preset, dataset: Dataset, *, shots: int = 0, budget: int = 0
) -> tuple[Reading, ...]:
    """Return the transfer from Kinetics with every seed.

    On UCF101, with all videos or five per class, every seed has its own pre-training, so that the spread
    includes the pretext's. Elsewhere all seeds start from one pre-training.
    """
    several = dataset == "ucf101" and shots in (0, 5)
    return tuple(
        preset.top1(
            preset.finetune(
                dataset,
                preset.pretrain("kinetics", seed=seed if several else preset.seed),
                shots=shots,
                seed=seed,
                budget=budget,
            )
        )
        for seed in preset.seeds
    )


def networks_of_seeds(preset: Preset) -> tuple[TrainRun, ...]:
    """Return the pre-training of every seed."""
    return tuple(preset.pretrain("kinetics", seed=seed) for seed in preset.seeds)


def _from_moments(preset: Preset, dataset: Dataset) -> tuple[Reading, ...]:
    start = preset.pretrain("moments")
    return tuple(preset.top1(preset.finetune(dataset, start, seed=seed)) for seed in preset.seeds)
