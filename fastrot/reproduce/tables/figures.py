"""Figure 4, as tables that are also drawn, and the pictures of figures 1, 3 and 5 to 9 (section 4.5)."""

from fastrot.reproduce.presets import COLUMNS, DATASETS, Preset
from fastrot.reproduce.run_plan import Entry, Gallery, Snapshot, Table
from fastrot.reproduce.tables.transfers import from_kinetics, of_table_2, one_pretraining

BLOCKS = 5
FROZEN = (
    ">C1 (none)",
    ">C2 (C1)",
    *(f">C{n} (C1 to C{n - 1})" for n in range(3, BLOCKS + 1)),
    "all",
)
"""Labels of Figure 4a, with the frozen blocks in brackets."""

ONE_NETWORK = "One network of each kind: another seed gives other pictures."


def figure4a(preset: Preset) -> Table:
    """Transfer with the first blocks frozen, on both sets."""
    pretrained = preset.pretrain("kinetics")
    entries = []
    for freeze, row in enumerate(FROZEN):
        for dataset in DATASETS:
            free = from_kinetics(preset, dataset)
            frozen = (preset.top1(preset.finetune(dataset, pretrained, freeze=freeze)),)
            ours, against = (frozen, free) if freeze else (free, ())
            chance = preset.chance(dataset)
            entries.append(Entry(row, COLUMNS[dataset], None, ours, against, chance=chance))
    return Table(
        "figure4a",
        "Figure 4a: transfer with the first convolution blocks frozen",
        entries,
        against="nothing frozen",
        paper_notes=(
            "The paper prints no numbers. Its text: best with C1 frozen on UCF101 and with C1 and C2 "
            "frozen on HMDB51, worst with all five blocks frozen on both.",
        ),
        notes=(
            "Frozen blocks keep the BatchNorm statistics of the rotated pre-training videos.",
            *of_table_2(preset, FROZEN[0]),
        ),
    )


def figure4b(preset: Preset) -> Table:
    """Rotation accuracy and action accuracy on UCF101, over checkpoints of the pre-training."""
    pretrained = preset.pretrain("kinetics")
    entries = []
    for network in preset.snapshots(pretrained):
        row = f"{network.step or pretrained.config.train.iterations:,} iterations"
        entries += [
            Entry(
                row,
                "Rotation accuracy",
                None,
                (preset.rotation_accuracy(network, "ucf101", "test1"),),
                chance=25.0,
            ),
            Entry(
                row,
                "UCF101 top-1",
                None,
                (preset.top1(preset.finetune("ucf101", network)),),
                chance=preset.chance("ucf101"),
            ),
        ]
    return Table(
        "figure4b",
        "Figure 4b: rotation accuracy and action accuracy during pre-training",
        entries,
        paper_notes=(
            "The paper prints no numbers. Its text: action accuracy rises with rotation accuracy.",
        ),
        notes=(
            "Rotations of the test videos of split 1.",
            "The last row is the first seed of Table 2 alone, so that all rows are of one pre-training.",
            *one_pretraining(preset),
        ),
    )


def figure5(preset: Preset) -> Gallery:
    """Kernels of the first convolution, of our network, a supervised and an untrained one."""
    return Gallery(
        "figure5",
        "Figure 5: kernels of the first convolution",
        Snapshot(preset.pretrain("kinetics")),
        Snapshot(preset.supervised()),
        notes=(
            "Each kernel is a strip of its slices in time, scaled individually. The untrained network was "
            "initialised with another seed than 3DRotNet.",
            ONE_NETWORK,
        ),
    )


def attention(preset: Preset) -> Gallery:
    """Attention maps in each rotation, of our network, a supervised and an untrained one."""
    return Gallery(
        "attention",
        "Figures 1, 3 and 6 to 9: attention maps of the first convolution",
        Snapshot(preset.pretrain("kinetics")),
        Snapshot(preset.supervised()),
        store=preset.stores["ucf101"],
        split="test1",
        notes=(
            "The mean of the first convolution's activations (after BatchNorm and ReLU) over its kernels, "
            "for single frames of a clip. The maps of a network share a scale from their lowest value in the "
            "sheet to their highest. A box marks the square, a third of the side wide, with the highest "
            "mean; the box in the frame is 3DRotNet's.",
            ONE_NETWORK,
        ),
    )
