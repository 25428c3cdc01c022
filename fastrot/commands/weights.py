"""``fastrot weights``: export the backbone of a checkpoint, or import one from another project's file."""

import argparse
from dataclasses import asdict
from pathlib import Path

from fastrot.commands.arguments import add_action, add_json, add_trained_on, trained_on


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "weights",
        help="export a backbone, or import one in Hara's or torchvision's format",
        description="Write backbones (3D ResNets without their head) with the weight names of Hara's code: "
        "to .safetensors with the training settings as metadata, "
        "or to .pt with the tensors under state_dict.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, about, source, what in (
        (
            "export",
            "write a checkpoint's backbone for other tools",
            "CHECKPOINT",
            "checkpoint of a run, or the run's folder for its last one",
        ),
        (
            "import",
            "convert another project's file for use with init= and features",
            "FILE",
            "file to convert",
        ),
    ):
        action = add_action(actions, name, f"{about}, and report which weights match", run)
        action.add_argument("source", type=Path, metavar=source, help=what)
        action.add_argument(
            "out", type=Path, metavar="OUT", help="output file: .safetensors, .pt or .pth"
        )
        add_trained_on(action)
        add_json(action)
        action.set_defaults(partial=False)
    action.add_argument(
        "--partial",
        action="store_true",
        help="use the weights that fit and leave the rest randomly initialised (torchvision's r3d_18 has a "
        "different stem)",
    )


def run(args: argparse.Namespace) -> int:
    """Convert the file and print the report."""
    from fastrot.models.backbone import convert
    from fastrot.terminal.console import say

    conversion = convert(args.source, args.out, partial=args.partial, trained_on=trained_on(args))
    args.emit(asdict(conversion))
    for line in conversion.lines():
        say(line)
    return 0
