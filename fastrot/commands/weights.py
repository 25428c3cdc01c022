"""``fastrot weights``: a backbone out of a checkpoint, or in from another project's file."""

import argparse
from pathlib import Path

from fastrot.commands.arguments import add_action


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "weights",
        help="export a backbone, or import one of Hara's or torchvision's form",
        description="Write backbones (3D ResNets without their head) under the names of Hara's code: to "
        ".safetensors with what they were trained on, or to .pt with the tensors under state_dict.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, about, source in (
        ("export", "write a checkpoint's backbone for other tools", "CHECKPOINT"),
        ("import", "turn another project's file into one for init= and features", "FILE"),
    ):
        action = add_action(actions, name, f"{about}, and say what matched", run)
        action.add_argument("source", type=Path, metavar=source)
        action.add_argument(
            "out", type=Path, metavar="OUT", help="the file to write: .safetensors, .pt or .pth"
        )
        action.set_defaults(partial=False)
    action.add_argument(
        "--partial",
        action="store_true",
        help="take what fits, and leave the rest untrained (torchvision's r3d_18 has another stem)",
    )


def run(args: argparse.Namespace) -> int:
    """Convert the file and print the report."""
    from fastrot.models.backbone import convert

    for line in convert(args.source, args.out, partial=args.partial).lines():
        print(line)
    return 0
