"""Stores from strangers: what leads out of the folder, or asks for memory that the bytes do not back."""

import json
import shutil

import numpy as np
import pytest
import torch

from pipelines.errors import FastrotError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.maintenance import extract, verify
from pipelines.store.reading import Settings, Store
from pipelines.store.writing import writing


@pytest.fixture
def path(make_store, tmp_path):
    shutil.copytree(make_store("raw").path, tmp_path / "store")
    return tmp_path / "store"


def change(path, **values):
    """Change fields of the first line of the manifest."""
    lines = [json.loads(line) for line in (path / "manifest.jsonl").read_text().splitlines()]
    lines[0].update(values)
    (path / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "shard",
    ["../../secret.npy", "/etc/passwd", "..", ".", "", "a/b.npy", "a\0b", "..\\b", 7, None, ["x"]],
)
def test_shards_are_plain_files_of_the_store(path, shard):
    change(path, shard=shard)
    with pytest.raises(FastrotError, match=r"is outside the store's folder|is damaged"):
        Store.open(path)
    if isinstance(shard, str):
        with pytest.raises(FastrotError), writing(path, Settings.read(path)):
            pass


def test_links_out_of_the_store_are_not_followed(path, tmp_path):
    secret = tmp_path / "secret.npy"
    shutil.copy(path / "shards" / "00000.npy", secret)
    (path / "shards" / "00000.npy").unlink()
    (path / "shards" / "00000.npy").symlink_to(secret)
    with pytest.raises(FastrotError, match="is outside the store's folder"):
        Store.open(path)
    shutil.rmtree(path / "shards")
    (tmp_path / "elsewhere").mkdir()
    (path / "shards").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FastrotError, match="is outside the store's folder"):
        Store.open(path)


@pytest.mark.parametrize("beside", [".crc32", ".offsets", ".packets"])
def test_neither_are_links_beside_a_shard(make_store, tmp_path, beside):
    made = make_store("h264", size=128) if beside == ".packets" else make_store("mjpeg")
    shutil.copytree(made.path, tmp_path / "store")
    file = next((tmp_path / "store" / "shards").glob(f"*{beside}"))
    file.rename(tmp_path / "away")
    file.symlink_to(tmp_path / "away")
    with pytest.raises(FastrotError, match="is outside the store's folder"):
        Store.open(tmp_path / "store")


def test_a_link_to_the_store_itself_is_fine(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    assert len(Store.open(tmp_path / "link")) == 6


@pytest.mark.parametrize(
    "values",
    [
        {"bytes": 2**62},
        {"bytes": -1},
        {"bytes": 0},
        {"frames": 0},
        {"frames": 2**31 + 5},
        {"frames": 2**70},
        {"offset": -5},
        {"offset": 2**63 - 1},
        {"index": -1},
        {"bytes": "4"},
        {"frames": None},
        {"name": 5},
        {"name": None},
        {"label": ["x"]},
        {"splits": 5},
        {"splits": [[1]]},
        {"fps": "x"},
    ],
)
def test_numbers_that_cannot_be_are_refused_at_opening(path, values):
    change(path, **values)
    with pytest.raises(FastrotError, match="damaged"):
        Store.open(path)


@pytest.mark.parametrize(
    "values",
    [
        {"size": 10**9},
        {"size": -1},
        {"size": "40"},
        {"size": 39},
        {"frames": -2},
        {"quality": "2"},
        {"classes": [["x"]]},
        {"classes": 5},
        {"codec": ["raw"]},
        {"codec": "../raw"},
    ],
)
def test_settings_that_cannot_be_are_refused(path, values):
    settings = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps({**settings, **values}))
    with pytest.raises(FastrotError, match="damaged"):
        Store.open(path)


def test_no_memory_is_taken_for_bytes_that_are_not_there(make_store, tmp_path, monkeypatch):
    """A manifest that claims a terabyte: the file is asked for its size before numpy is for memory."""
    shutil.copytree(make_store("mjpeg").path, tmp_path / "store")
    change(tmp_path / "store", bytes=2**40)
    store = Store.open(tmp_path / "store")
    (video,) = np.flatnonzero(store.bytes == 2**40)
    taken = []
    empty = np.empty
    monkeypatch.setattr(
        np, "empty", lambda shape, *a, **k: taken.append(np.prod(shape)) or empty(shape, *a, **k)
    )
    assert "truncated" in dict(verify(store))[store.name(int(video))]
    with pytest.raises(FastrotError, match=r"truncated|damaged"):
        extract(store, store.name(int(video)), tmp_path)
    plan = TrainPlan(store, np.array([video]), ClipSpec(frames=4, crop=31), seed=0)
    with Loader(store, plan, [(0, 1)], batch=1, device=torch.device("cpu")) as loader:
        next(loader)
    assert max(taken) < 2**30


@pytest.mark.parametrize("text", ['{"format": 2}', "null", "1" * 5000, "[", '"\\ud800"'])
def test_a_store_json_that_is_none_is_named(path, text):
    (path / "store.json").write_text(text)
    with pytest.raises(FastrotError, match=r"store\.json"):
        Store.open(path)


@pytest.mark.parametrize("text", ["[", "5", "null", "[1]", '{"name": {}}', "1" * 5000])
@pytest.mark.parametrize("kind", ["manifest", "rejected"])
def test_lines_that_are_none_are_named(path, kind, text):
    with (path / f"{kind}.jsonl").open("a") as file:
        file.write('{"name": "x"}\n' * (kind == "rejected") + text + "\n")
    number = 2 if kind == "rejected" else 7
    with pytest.raises(FastrotError, match=rf"{kind}\.jsonl, line {number} is damaged: delete it"):
        Store.open(path)
