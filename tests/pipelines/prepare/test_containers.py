import numpy as np
import pytest

from pipelines.prepare.containers import find_truncation
from tests.helpers import moving_frames, write_video
from tests.pipelines.prepare.frames import read_frames

CASES = [
    ("mpeg4", "avi"),
    ("mpeg4", "mp4"),
    ("mpeg4", "mov"),
    ("mpeg4", "mkv"),
    ("libvpx-vp9", "webm"),
]


@pytest.fixture(scope="module", params=CASES, ids=[suffix for _, suffix in CASES])
def whole(request, tmp_path_factory):
    codec, suffix = request.param
    path = tmp_path_factory.mktemp("whole") / f"video.{suffix}"
    return write_video(path, moving_frames(12, 48, 64), codec=codec)


def test_a_whole_file_is_whole(whole):
    assert find_truncation(whole) is None


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_copy_is_found(whole, tmp_path, keep):
    data = whole.read_bytes()
    copy = tmp_path / whole.name
    copy.write_bytes(data[: int(len(data) * keep)])
    reason = find_truncation(copy)
    assert reason is not None
    assert f"{int(len(data) * keep):,} of at least" in reason


def test_an_empty_file_is_named_so(tmp_path):
    empty = tmp_path / "video.mp4"
    empty.touch()
    assert find_truncation(empty) == "the file is empty (0 bytes)"


def test_bytes_after_the_last_chunk_do_no_harm(whole, tmp_path):
    copy = tmp_path / whole.name
    copy.write_bytes(whole.read_bytes() + bytes(100))
    assert find_truncation(copy) is None


def test_text_after_an_mp4_is_no_box(tmp_path):
    path = write_video(tmp_path / "video.mp4", moving_frames(5, 48, 64))
    path.write_bytes(path.read_bytes() + b"tagged by some old program")
    assert find_truncation(path) is None


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_an_avi_written_to_a_pipe_does_not_know_its_length(tmp_path, length):
    path = tmp_path / "video.avi"
    path.write_bytes(b"RIFF" + length.to_bytes(4, "little") + b"AVI " + bytes(100))
    assert find_truncation(path) is None


def test_a_file_that_tells_nothing_passes(tmp_path):
    noise = tmp_path / "video.ts"
    noise.write_bytes(np.random.default_rng(0).bytes(1000))
    assert find_truncation(noise) is None


def test_an_avi_of_two_riff_chunks(tmp_path):
    """OpenDML: over 1 GB, AVI continues in further RIFF chunks; each counts."""
    path = tmp_path / "big.avi"
    chunk = b"RIFF" + (12).to_bytes(4, "little") + b"AVI " + bytes(8)
    path.write_bytes(chunk + chunk)
    assert find_truncation(path) is None
    path.write_bytes(chunk + chunk[:-1])
    assert find_truncation(path) == "the file is truncated: it has 39 of at least 40 bytes"


def declared_longer(path, by):
    """Add ``by`` to the right size that the file's container, or its last box, declares."""
    data = bytearray(path.read_bytes())
    if path.suffix == ".avi":
        place, order = slice(4, 8), "little"
        right = len(data) - 8
    elif path.suffix == ".mp4":
        start = data.index(b"mdat") - 4
        place, order = slice(start, start + 4), "big"
        right = len(data) - start
    else:
        start = data.index(bytes.fromhex("18538067")) + 4
        place, order = slice(start, start + 8), "big"
        right = (1 << 56) + len(data) - start - 8
    assert int.from_bytes(data[place], order) == right
    data[place] = (right + by).to_bytes(place.stop - place.start, order)
    path.write_bytes(data)


OPTIONS = {
    "film.avi": {},
    "film.mp4": {"movflags": "faststart"},  # the index first, the frames last
    "film.mkv": {"cluster_time_limit": "100"},
}


def write_film(path):
    return write_video(path, moving_frames(12, 48, 64), container_options=OPTIONS[path.name])


@pytest.fixture(params=OPTIONS)
def film(request, tmp_path):
    return write_film(tmp_path / request.param)


def test_a_declared_size_that_is_too_long_does_no_harm(film):
    declared_longer(film, 100)
    assert find_truncation(film) is None
    frames, _, damaged = read_frames(film, None, 40)
    assert (len(frames), damaged) == (12, 0)


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
def test_a_truncated_copy_is_found_whose_declared_size_is_too_long_besides(film, keep):
    declared_longer(film, 100)
    data = film.read_bytes()
    film.write_bytes(data[: int(len(data) * keep)])
    reason = find_truncation(film)
    assert reason is not None
    assert "truncated" in reason


def test_the_last_byte_of_an_mp4s_last_frame_is_missed(tmp_path):
    film = write_film(tmp_path / "film.mp4")
    declared_longer(film, 100)
    data = film.read_bytes()
    film.write_bytes(data[:-1])
    assert find_truncation(film) == (
        f"the file is truncated: it has {len(data) - 1:,} of at least {len(data):,} bytes"
    )


def test_a_matroska_file_cut_between_two_clusters_is_truncated(tmp_path):
    path = write_film(tmp_path / "film.mkv")
    data = path.read_bytes()
    cluster = bytes.fromhex("1f43b675")
    assert data.count(cluster) > 2
    path.write_bytes(data[: data.rindex(cluster)])
    assert find_truncation(path) is not None
