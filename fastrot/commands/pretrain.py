"""``fastrot pretrain``: train a network on any task: rotations, actions, or one of the user's own."""

import argparse

from fastrot.commands.training import add_training_parser


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    add_training_parser(
        subparsers,
        "pretrain",
        help="pre-train a network by rotation prediction, by labels (task=action), or by a task of your own "
        "(task=module:Class)",
        example="fastrot pretrain configs/pretrain/kinetics_rgb_16.yaml data.store=STORE",
    )
