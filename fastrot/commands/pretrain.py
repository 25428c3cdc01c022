"""``fastrot pretrain``: train a network to tell rotations, or actions for a supervised rival."""

import argparse

from fastrot.commands.training import add_training_parser


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    add_training_parser(
        subparsers,
        "pretrain",
        tasks=("rotation", "action"),
        help="pre-train a network by rotation prediction, or by labels (task=action)",
        example="fastrot pretrain configs/pretrain/kinetics_rgb_16.yaml data.store=STORE",
    )
