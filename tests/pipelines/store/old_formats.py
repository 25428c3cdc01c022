"""Makes a store look as an earlier version wrote it."""

import json

from pipelines.store.reading import Store


def of_format(store: Store, number: int) -> Store:
    """Turn a store of format 3 into one of format 1 or 2, in place."""
    settings = json.loads((store.path / "store.json").read_text())
    (store.path / "store.json").write_text(json.dumps({**settings, "format": number}))
    manifest = store.path / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        line.pop("header", None)
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for kind in [".packets", *([".crc32"] if number == 1 else [])]:
        for path in (store.path / "shards").glob(f"*{kind}"):
            path.unlink()
    return Store.open(store.path)
