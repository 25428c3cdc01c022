"""``fastrot store``: inspect and maintain a store."""

import argparse
from pathlib import Path
from typing import Any

from fastrot.commands.arguments import add_action, add_json, positive
from pipelines.cores import cores
from pipelines.store.reading import FORMAT, Store


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "store", help="inspect a store, verify it, remove or extract videos"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        sub = add_action(actions, name, about, run)
        sub.add_argument("store", type=Path, help="the store's folder")
        return sub

    info = action("info", run_info, "print a summary of the store")
    add_json(info)
    ls = action("ls", run_ls, "list the videos with frames, bytes, class, splits and name")
    ls.add_argument("--split", default="all", help="list only the videos of this split")
    add_json(ls)
    cues = action(
        "cues", run_cues, "measure cheap cues: what reveals a rotation without any network"
    )
    cues.add_argument("--split", default="all", help="read only videos of this split")
    cues.add_argument(
        "--videos",
        type=positive,
        default=256,
        metavar="N",
        help="most videos to read, evenly spaced",
    )
    add_json(cues)
    check = action("verify", run_verify, "read every video and check its checksum")
    check.add_argument(
        "--fix", action="store_true", help="remove damaged videos and list them as rejected"
    )
    add_json(check)
    action(
        "merge",
        run_merge,
        "merge the manifests written by prepare --shard I/N into one, without superseded lines",
    )
    action(
        "upgrade",
        run_upgrade,
        "upgrade a store of an older format in place: clips of h264 and vp9 then read less",
    )
    remove = action("remove", run_remove, "remove videos by name and list them as rejected")
    remove.add_argument("name", nargs="+", help="name of a video, as printed by store ls")
    extract = action("extract", run_extract, "write one video to a playable file")
    extract.add_argument("name", help="name of the video, as printed by store ls")
    extract.add_argument(
        "--out",
        type=Path,
        default=Path(),
        help="output folder, or output file without its suffix",
    )


def run_info(args: argparse.Namespace) -> int:
    """Print the store's counts and settings."""
    from fastrot.terminal.console import say

    info = describe(Store.open(args.store))
    args.emit(info)
    splits = ", ".join(f"{name} ({count})" for name, count in info["splits"].items())
    say(
        f"{args.store}: {info['codec']}, {info['size']}x{info['size']}, "
        f"{info['frames_per_video']} frames per video, fit {info['fit']}\n"
        f"videos    {info['videos']:,}\n"
        f"rejected  {info['rejected']:,}\n"
        f"frames    {info['frames']:,} ({info['frames_min']} to {info['frames_max']} per video)\n"
        f"bytes     {info['bytes']:,} in {info['shards']} shards\n"
        f"classes   {info['classes']}\n"
        f"splits    {splits or 'none'}",
        hang=10,
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
    """Print one line per video."""
    store = Store.open(args.store)
    widths = [max(map(len, names), default=1) for names in (store.classes, store.splits)]
    videos = []
    for i in store.select(args.split):
        label = store.classes[store.labels[i]] if store.labels[i] >= 0 else None
        splits = store.splits_of(i)
        videos.append(
            {
                "name": store.name(i),
                "frames": int(store.frames[i]),
                "bytes": int(store.bytes[i]),
                "class": label,
                "splits": splits,
            }
        )
        print(
            f"{store.frames[i]:5d} {store.bytes[i]:10d} {label or '-':{widths[0]}} "
            f"{','.join(splits) or '-':{widths[1]}} {store.name(i)}"
        )
    args.emit(videos)
    return 0


def run_cues(args: argparse.Namespace) -> int:
    """Print the ledger of cheap cues."""
    from dataclasses import asdict

    from fastrot.analysis.cue_ledger import read_ledger
    from fastrot.terminal.console import progress, say

    store = Store.open(args.store)
    total = min(args.videos, len(store.select(args.split)))
    with progress(total, "cues", "videos") as advance:
        ledger = read_ledger(store, args.split, videos=args.videos, advance=advance.to)
    args.emit(asdict(ledger))
    for line in ledger.lines():
        say(line)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Check the checksums; return 1 if any damaged video remains in the store."""
    from fastrot.terminal.console import progress, say
    from pipelines.store.maintenance import drop, verify

    store = Store.open(args.store)
    with progress(len(store), "verify", "videos") as advance:
        broken = dict(sorted(verify(store, threads=cores(), progress=advance.to)))
    args.emit({"videos": len(store), "damaged": broken})
    for name, reason in broken.items():
        say(f"damaged: {name}: {reason}")
    if broken and args.fix:
        drop(store, broken)
        say(
            f"removed {len(broken)} of {len(store)} videos: "
            "run prepare --retry-rejected to prepare them again"
        )
        return 0
    say(
        f"{len(broken)} of {len(store)} videos are damaged"
        + (": use --fix to remove them" if broken else "")
    )
    return 1 if broken else 0


def run_remove(args: argparse.Namespace) -> int:
    """Remove the named videos; remove none if any name is unknown."""
    from fastrot.terminal.console import say
    from pipelines.store.maintenance import drop, find

    store = Store.open(args.store)
    names = {store.name(find(store, name)) for name in args.name}
    drop(store, dict.fromkeys(names, "removed by fastrot store remove"))
    say(
        f"removed {len(names)} of {len(store)} videos: run prepare --retry-rejected to prepare them again"
    )
    return 0


def run_merge(args: argparse.Namespace) -> int:
    """Merge the manifests of the parts."""
    from fastrot.terminal.console import say
    from pipelines.store.maintenance import merge

    merged = merge(args.store)
    say(f"merged {merged} manifests: {len(Store.open(args.store))} videos in {args.store}")
    return 0


def run_upgrade(args: argparse.Namespace) -> int:
    """Bring a store to the current format."""
    from fastrot.terminal.console import progress, say
    from pipelines.store.upgrade import upgrade

    store = Store.open(args.store)
    current = store.settings.format == FORMAT
    with progress(len(store), "upgrade", "videos", shown=not current) as advance:
        changed = upgrade(store, advance.to)
    now = Store.open(args.store).settings.format
    was = f"upgraded from format {store.settings.format}" if changed else "nothing to do"
    say(f"{args.store} has format {now}: {was}")
    return 0


def run_extract(args: argparse.Namespace) -> int:
    """Write one video to a file."""
    from pipelines.store.maintenance import extract

    print(extract(Store.open(args.store), args.name, args.out))
    return 0
