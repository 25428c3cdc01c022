import pytest

from pipelines.errors import FastrotError
from pipelines.layouts import LAYOUTS, read_layout
from tests.pipelines.layouts.trees import touch


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_wrong_path_is_named(tmp_path, layout):
    with pytest.raises(FastrotError, match=r"nowhere does not exist"):
        read_layout(tmp_path / "nowhere", layout)


@pytest.mark.parametrize("layout", sorted(LAYOUTS.keys() - {"folder"}))
def test_a_folder_without_the_official_lists_says_what_to_get(tmp_path, layout):
    touch(tmp_path, "Archery/v_Archery_g01_c01.avi", "train.csv")
    with pytest.raises(FastrotError, match=r"below it"):
        read_layout(tmp_path, layout)


@pytest.mark.parametrize("layout", sorted(LAYOUTS.keys() - {"folder"}))
def test_one_video_is_no_data_set(tmp_path, layout):
    touch(tmp_path, "a.avi")
    with pytest.raises(FastrotError, match=r"a\.avi (has no|must have)"):
        read_layout(tmp_path / "a.avi", layout)
