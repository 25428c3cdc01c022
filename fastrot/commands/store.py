"""``fastrot store``: look into a store, and care for it."""

import argparse
import json
from pathlib import Path
from typing import Any

from fastrot.commands.arguments import add_action
from pipelines.cores import cores
from pipelines.store.reading import Store


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("store", help="look into a store, verify it, take videos out")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        sub = add_action(actions, name, about, run)
        sub.add_argument("store", type=Path, help="the store's folder")
        return sub

    info = action("info", run_info, "print what a store holds")
    info.add_argument("--json", action="store_true", help="print JSON")
    ls = action("ls", run_ls, "list the videos: frames, bytes, class, splits, name")
    ls.add_argument("--split", default="all", help="only this split's videos")
    check = action("verify", run_verify, "read every video and compare its checksum")
    check.add_argument(
        "--fix", action="store_true", help="take broken videos out and list them as rejected"
    )
    action(
        "merge",
        run_merge,
        "make one manifest of what prepare --shard i/n wrote, without superseded lines",
    )
    remove = action("remove", run_remove, "take videos out by name and list them as rejected")
    remove.add_argument("name", nargs="+", help="a video's name, as store ls prints it")
    extract = action("extract", run_extract, "write one video as a file that players play")
    extract.add_argument("name", help="the video's name, as store ls prints it")
    extract.add_argument(
        "--out",
        type=Path,
        default=Path(),
        help="a folder, or the file without its suffix",
    )


def run_info(args: argparse.Namespace) -> int:
    """Print the store's counts and settings."""
    info = describe(Store.open(args.store))
    if args.json:
        print(json.dumps(info))
        return 0
    splits = ", ".join(f"{name} ({count})" for name, count in info["splits"].items())
    print(
        f"{args.store}: {info['codec']}, {info['size']}x{info['size']}, "
        f"{info['frames_per_video']} frames a video, fit {info['fit']}\n"
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
        "fit": store.settings.fit,
        "quality": store.settings.quality,
        "frames_per_video": store.settings.frames or "all",
        "frames_min": int(min(store.frames, default=0)),
        "frames_max": int(max(store.frames, default=0)),
        "layout": store.settings.layout,
        "classes": len(store.classes),
        "splits": store.splits,
    }


def run_ls(args: argparse.Namespace) -> int:
    """Print a line a video."""
    store = Store.open(args.store)
    for i in store.select(args.split):
        label = store.classes[store.labels[i]] if store.labels[i] >= 0 else "-"
        splits = ",".join(store.splits_of(i)) or "-"
        print(f"{store.frames[i]:5d} {store.bytes[i]:10d} {label:20s} {splits:20s} {store.name(i)}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Compare checksums; 1 if any video is broken and stays in the store."""
    from fastrot.terminal.console import progress, say
    from pipelines.store.maintenance import drop, verify

    store = Store.open(args.store)
    with progress(len(store), "verify", "videos") as advance:
        broken = dict(sorted(verify(store, threads=cores(), progress=advance.to)))
    for name, reason in broken.items():
        say(f"broken: {name}: {reason}")
    if broken and args.fix:
        drop(store, broken)
        say(
            f"{len(broken)} of {len(store)} videos taken out: prepare --retry-rejected makes them again"
        )
        return 0
    say(
        f"{len(broken)} of {len(store)} videos are broken"
        + (": --fix takes them out" if broken else "")
    )
    return 1 if broken else 0


def run_remove(args: argparse.Namespace) -> int:
    """Take named videos out; none if one of the names is unknown."""
    from pipelines.store.maintenance import drop, find

    store = Store.open(args.store)
    names = {store.name(find(store, name)) for name in args.name}
    drop(store, dict.fromkeys(names, "removed by fastrot store remove"))
    print(f"{len(names)} of {len(store)} videos removed: prepare --retry-rejected makes them again")
    return 0


def run_merge(args: argparse.Namespace) -> int:
    """Merge the parts' manifests."""
    from pipelines.store.maintenance import merge

    merged = merge(args.store)
    print(f"{merged} manifests merged: {len(Store.open(args.store))} videos in {args.store}")
    return 0


def run_extract(args: argparse.Namespace) -> int:
    """Write one video to a file."""
    from pipelines.store.maintenance import extract

    print(extract(Store.open(args.store), args.name, args.out))
    return 0
