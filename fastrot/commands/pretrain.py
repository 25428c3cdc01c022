"""``fastrot pretrain``: train a network on any task: rotation, action, or a custom one."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from fastrot.commands.arguments import add_json, offer_instead, options_anywhere
from fastrot.config import load_config, to_mapping, to_yaml
from pipelines.errors import UsageError


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    add_training_parser(
        subparsers,
        "pretrain",
        help="pre-train a network by rotation prediction, on labels (task=action), or on a custom task "
        "(task=module:Class)",
        example="fastrot pretrain configs/pretrain/kinetics_rgb_16.yaml data.store=STORE",
    )


def add_training_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    *,
    help: str,
    example: str,
    only: str | None = None,
) -> None:
    """Add the parser of a training command; ``only`` is the one task it accepts (None: any)."""
    parser = subparsers.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}. Results are written to runs/NAME: config.yaml, env.json, "
        "metrics.jsonl, train.log, checkpoints/last.pt. Start it with torchrun for several processes. "
        "The first Ctrl-C saves and stops after the current step (exit code 130), the second stops "
        "immediately. SIGTERM, SIGUSR1, SIGHUP and SIGQUIT also save and stop (exit code 75). Only one "
        "job at a time may train a run; state.json in its folder contains the run's state.",
        epilog=f"Example: {example}",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, such as those in configs/")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="override values of the file, such as data.crop=112 or optim.lr=1e-2",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved config as YAML and exit"
    )
    parser.add_argument(
        "--print-folder", action="store_true", help="print the run's folder, out/name, and exit"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume from the run's last checkpoint, or start if there is none",
    )
    offer_instead(parser, "--resume", "--resume-from")
    parser.add_argument(
        "--resume-from",
        type=Path,
        metavar="CHECKPOINT",
        help="begin a new run at the step of another run's checkpoint, with its weights, optimiser, schedule "
        "and positions in the data; a run's folder means its last checkpoint",
    )
    parser.add_argument(
        "--resume-anyway",
        action="store_true",
        help="resume even if the config or the videos have changed, with the new values",
    )
    add_json(parser)
    parser.set_defaults(run=run, only=only)
    options_anywhere(parser, "overrides")


def run(args: argparse.Namespace) -> int:
    """Train, or print the config or the run's folder."""
    words = [word for word in args.overrides if "=" not in word]
    if args.resume and words:  # other programs take a checkpoint there
        raise UsageError(
            f"--resume takes no checkpoint: use --resume-from {words[0]} to begin a new run there"
        )
    config = load_config(args.config, args.overrides)
    if args.only not in (None, config.task):
        raise UsageError(
            f"{args.config}: task is {config.task}, but this command only trains task={args.only}: "
            "use `fastrot pretrain`"
        )
    if args.print_config:
        sys.stdout.write(to_yaml(config))
        args.emit(to_mapping(config))
        return 0
    if args.print_folder:
        folder = Path(config.out) / config.name
        print(folder)
        args.emit(folder)
        return 0
    from fastrot.distributed.runtime import require_launcher
    from fastrot.training.run import train

    require_launcher()
    result = train(
        config, resume=args.resume, resume_from=args.resume_from, anyway=args.resume_anyway
    )
    args.emit(asdict(result))
    return 0
