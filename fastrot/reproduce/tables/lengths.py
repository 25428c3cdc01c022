"""Table 6, the clip length, and Table 7, other methods (sections 4.8 and 4.9)."""

from fastrot.config.data_config import Modality
from fastrot.reproduce import paper
from fastrot.reproduce.presets import COLUMNS, DATASETS, SHORT_STEPS, Dataset, Preset
from fastrot.reproduce.run_plan import Entry, Reading, Table, TrainRun
from fastrot.reproduce.tables import pretext_columns
from fastrot.reproduce.tables.transfers import one_pretraining

LONGEST = 64
SPLITS = (1, 2, 3)


def _transfer(
    preset: Preset, dataset: Dataset, modality: Modality, frames: int, split: int = 1
) -> TrainRun:
    pretrained = preset.pretrain("kinetics", modality=modality, frames=frames)
    return preset.finetune(dataset, pretrained, split=split, modality=modality, frames=frames)


def table6(preset: Preset) -> Table:
    """Clips of 16, 32 and 64 frames, RGB and DIF; pre-training uses the same kind of clip."""
    entries: list[Entry] = []
    rows: tuple[tuple[int, Modality], ...] = (
        (16, "rgb"), (32, "rgb"), (64, "rgb"), (16, "dif"), (64, "dif"),
    )  # fmt: skip
    for frames, modality in rows:
        name = f"{frames}-{modality.upper()}"
        for dataset in DATASETS:
            column = COLUMNS[dataset]
            shortest = () if frames == 16 else (_transfer(preset, dataset, modality, 16),)
            entries.append(
                Entry(
                    name,
                    column,
                    paper.LENGTH[frames, modality, column],
                    (preset.top1(_transfer(preset, dataset, modality, frames)),),
                    tuple(preset.top1(run) for run in shortest),
                    3.5 if (frames, modality, column) == (64, "rgb", paper.UCF) else None,
                    chance=preset.chance(dataset),
                )
            )
        network = preset.pretrain("kinetics", modality=modality, frames=frames)
        store = preset.sized_store("ucf101", frames)
        entries.append(pretext_columns.accuracy(preset, name, (network,), store))
    return Table(
        "table6",
        "Table 6: clip length, RGB and frame differences (DIF)",
        entries,
        against="16 frames of the same kind",
        notes=(pretext_columns.NOTE, *short_note(preset), *one_pretraining(preset)),
    )


def table7(preset: Preset) -> Table:
    """Means over three splits of RGB, DIF and their fusion, compared with other methods."""
    entries = []
    for published in (*paper.OTHERS, *paper.LATER):
        for column, value in ((paper.UCF, published.ucf), (paper.HMDB, published.hmdb)):
            entries.append(Entry(published.row, column, value, source=published.source))
    for dataset in DATASETS:
        column, chance = COLUMNS[dataset], preset.chance(dataset)
        splits = {
            modality: [_transfer(preset, dataset, modality, LONGEST, split) for split in SPLITS]
            for modality in ("rgb", "dif")
        }
        dif: tuple[Reading, ...] = tuple(preset.top1(run) for run in splits["dif"])
        rgb = tuple(preset.top1(run) for run in splits["rgb"])
        fused = tuple(
            preset.fused(*pair) for pair in zip(splits["rgb"], splits["dif"], strict=True)
        )
        entries += [
            Entry("Ours-RGB", column, paper.OURS["rgb", column], rgb, chance=chance),
            Entry("Ours-DIF", column, paper.OURS["dif", column], dif, chance=chance),
            Entry(
                "Ours-Fusion",
                column,
                paper.OURS["fusion", column],
                fused,
                dif,
                paper.FUSION_GAIN[column],
                chance=chance,
            ),
        ]
    return Table(
        "table7",
        "Table 7: comparison with other methods",
        entries,
        against="DIF alone",
        paper_notes=(
            paper.SLIPS["table7"],
            "The paper does not give the clip length, but its numbers are close to those of the longest "
            "clips in Table 6.",
        ),
        notes=(
            "Ours are means over three splits with clips of 64 frames. Fusion is the geometric mean of both "
            "networks' scores per video.",
            *short_note(preset),
            *one_pretraining(preset),
        ),
    )


def short_note(preset: Preset) -> tuple[str, ...]:
    """Return a note on the demo's short fine-tuning."""
    if preset.name == "paper":
        return ()
    return (
        f"The demo fine-tunes these networks for {SHORT_STEPS} steps only. Rows marked not converged compare "
        "networks that are still learning, and an RGB row near chance tests nothing.",
    )
