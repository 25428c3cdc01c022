"""``fastrot finetune``: train a network on actions, from pre-trained weights or from scratch."""

import argparse

from fastrot.commands.pretrain import add_training_parser


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    add_training_parser(
        subparsers,
        "finetune",
        only="action",
        help="fine-tune a pre-trained network on actions (init=CHECKPOINT), or train one from scratch "
        "(init=scratch)",
        example="fastrot finetune configs/finetune/ucf101_rgb_16.yaml init=CHECKPOINT data.store=STORE",
    )
