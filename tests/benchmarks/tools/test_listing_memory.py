"""The measurement of listing: the tree that it makes is Kinetics, and every video is found."""

import json
import sys

import pytest

from benchmarks.tools import listing_memory
from pipelines.layouts import read_layout


def test_the_tree_is_kinetics_and_a_folder_of_classes(tmp_path):
    listing_memory.make_tree(tmp_path / "set", 1201)
    by_layout = {name: read_layout(tmp_path / "set", name) for name in ("kinetics", "folder")}
    for listing in by_layout.values():
        assert len(listing.entries) == 1201
        assert len(listing.classes) == 600
        assert listing.missing == listing.warnings == []
    names = [[entry.name for entry in listing.entries] for listing in by_layout.values()]
    assert names[0] == names[1]


def test_what_it_prints(tmp_path, monkeypatch, capsys):
    words = [str(tmp_path / "set"), "--layout", "kinetics", "--make", "7"]
    monkeypatch.setattr(sys, "argv", ["listing_memory", *words])
    listing_memory.main()
    found = json.loads(capsys.readouterr().out)
    assert found["videos"] == 7
    assert 0 < found["mb_before"] <= found["mb_peak"]
    with pytest.raises(FileExistsError):  # never into a folder with other files
        listing_memory.main()
