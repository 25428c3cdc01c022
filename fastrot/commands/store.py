"""``fastrot store``: look into a store."""

import argparse
import json
from pathlib import Path
from typing import Any

from pipelines.store import Store


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("store", help="look into a store")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    info = actions.add_parser("info", help="print what a store holds")
    info.add_argument("store", type=Path, help="the store's folder")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=run_info)


def run_info(args: argparse.Namespace) -> int:
    """Print the store's counts and settings."""
    info = describe(Store.open(args.store))
    if args.json:
        print(json.dumps(info))
        return 0
    splits = ", ".join(f"{name} ({count})" for name, count in info["splits"].items())
    print(
        f"{args.store}: {info['codec']}, {info['size']}x{info['size']}, "
        f"{info['frames_per_video']} frames a video\n"
        f"videos    {info['videos']:,}\n"
        f"rejected  {info['rejected']:,}\n"
        f"frames    {info['frames']:,} ({info['frames_min']} to {info['frames_max']} a video)\n"
        f"bytes     {info['bytes']:,} in {info['shards']} shards\n"
        f"classes   {info['classes']}\n"
        f"splits    {splits or 'none'}"
    )
    return 0


def describe(store: Store) -> dict[str, Any]:
    """Return the store's counts and settings as plain values."""
    return {
        "videos": len(store),
        "rejected": store.rejected,
        "frames": int(store.frames.sum()),
        "bytes": int(store.bytes.sum()),
        "shards": len(store.shards),
        "codec": store.codec,
        "size": store.size,
        "frames_per_video": store.settings.frames or "all",
        "frames_min": int(min(store.frames, default=0)),
        "frames_max": int(max(store.frames, default=0)),
        "layout": store.settings.layout,
        "classes": len(store.classes),
        "splits": store.splits,
    }
