"""The stores of the demo preset: which videos each is made of."""

import pytest

from fastrot.reproduce import stores
from fastrot.reproduce.stores import DemoSizes, DemoStores
from fastrot.synthetic.dataset import DemoSpec


class AskedError(Exception):
    """The videos were asked for."""


@pytest.mark.parametrize(
    ("name", "folder", "options"),
    [
        ("kinetics", "first-look", {}),
        ("ucf101-long", "first-look", {}),
        ("kinetics-moving", "first-look-moving", {"camera": "moving"}),
        ("ucf101-moving", "first-look-moving", {"camera": "moving"}),
        ("ucf101-horizon", "first-look-horizon", {"horizon": True}),
        ("hmdb51", "second-look", {"horizon": True, "seed": 1}),
    ],
)
def test_scenes_are_the_first_look_filmed_otherwise(tmp_path, monkeypatch, name, folder, options):
    asked = []

    def make(root, spec, **_):
        asked.append((root.relative_to(tmp_path).as_posix(), spec))
        raise AskedError

    monkeypatch.setattr(stores, "make_dataset", make)
    demo = DemoStores(tmp_path, DemoSizes(unlabelled=7, groups=6))
    with pytest.raises(AskedError):
        demo.make(name, tmp_path / name)
    expected = DemoSpec(
        **{"unlabelled": 7, "groups": 6, "clips_per_group": 3, "frames": 68, "size": 80} | options
    )
    assert asked == [(f"videos/{folder}", expected)]
    # 12 classes x 6 groups x 3 videos, a third of which is for testing
    expected_count = 7 if name.startswith("kinetics") else 72
    assert demo.count(demo.paths[name], "test1") == expected_count
