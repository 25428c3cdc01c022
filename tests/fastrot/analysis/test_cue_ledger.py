"""The ledger finds cues that were put into noise on purpose, and none where there are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from fastrot.analysis import cue_ledger
from fastrot.analysis.cue_ledger import Contrast, Ledger, read_ledger
from fastrot.cli import main
from pipelines.errors import UsageError
from pipelines.loading.options import MOST_WITH_GPU, LoaderOptions
from pipelines.prepare.encode import encode
from pipelines.store.reading import Settings, Store
from pipelines.store.writing import writing

SIDE = 64
VIDEOS = 48


def blurred(white: np.ndarray, across: float, down: float) -> np.ndarray:
    """Blur (N, H, W, C) noise, periodic, by a Gaussian of other widths along both axes; unit deviation."""
    y = np.fft.fftfreq(white.shape[1])[:, None]
    x = np.fft.fftfreq(white.shape[2])[None, :]
    filter_ = np.exp(-2 * np.pi**2 * ((down * y) ** 2 + (across * x) ** 2))[None, :, :, None]
    values = np.fft.ifft2(np.fft.fft2(white, axes=(1, 2)) * filter_, axes=(1, 2)).real
    return values / values.std()


def noise(across: float = 1.2, down: float = 1.2) -> np.ndarray:
    """Return one frame of each video, (VIDEOS, SIDE, SIDE, 3) float, colours independent."""
    white = np.random.default_rng(0).standard_normal((VIDEOS, SIDE, SIDE, 3))
    return 127 + 30 * blurred(white, across, down)


def store_of(pictures: np.ndarray, path: Path, **settings: str) -> Store:
    """Write a raw store with videos of one still picture each; the first 30 are in the split "train"."""
    kept = Settings(codec="raw", size=pictures.shape[1], frames=None, layout="folder", **settings)
    with writing(path, kept) as writer:
        for i, picture in enumerate(np.clip(np.rint(pictures), 0, 255).astype(np.uint8)):
            splits = ("train",) if i < 30 else ("test",)
            writer.add(f"{i:03d}", encode([picture], "raw", None, 25.0), label=None, splits=splits)
    return Store.open(path)


def ledger_of(pictures: np.ndarray, path: Path) -> Ledger:
    return read_ledger(store_of(pictures, path), "all", videos=VIDEOS)


def found(ledger: Ledger) -> set[str]:
    """Return the channels and sides of which a number is found."""
    return {cue.channel for cue in ledger.axes if cue.found} | {
        cue.side for cue in ledger.sides if cue.found
    }


def test_isotropic_noise_has_no_cue(tmp_path: Path) -> None:
    ledger = ledger_of(noise(), tmp_path)
    assert found(ledger) == set()
    assert len(ledger.axes) == 6
    for cue in ledger.axes:
        assert abs(cue.mean) < cue.interval
        assert cue.told < 0.7
    verdicts = list(ledger.verdicts())
    assert sum("do not differ measurably" in line for line in verdicts) == 3
    assert "borders: no side stands out" in verdicts
    assert any("noise prepared in the same way" in line for line in verdicts)


def test_a_stretch_by_two_percent_is_found(tmp_path: Path) -> None:
    """Blobs 2 % wider than high: as isotropic noise after a stretch along the rows."""
    ledger = ledger_of(noise(across=1.2 * 1.02), tmp_path)
    assert {"Y", "Cb", "Cr"} <= found(ledger)
    luma = ledger.axes[0]
    assert (luma.channel, luma.order) == ("Y", "gradient")
    # Energy of gradients falls with the square of the width.
    assert luma.mean == pytest.approx(-2 * np.log(1.02), abs=luma.interval)
    assert luma.told > 0.6
    assert any(line.startswith("Y: vertical detail has") for line in ledger.verdicts())


@pytest.mark.parametrize(("side", "line"), [("top", np.s_[:, 0]), ("right", np.s_[:, :, -1])])
def test_a_black_line_is_found_at_its_side(tmp_path: Path, side: str, line: tuple) -> None:
    pictures = noise()
    pictures[line] = 0
    ledger = ledger_of(pictures, tmp_path)
    assert found(ledger) == {side}
    (cue,) = (cue for cue in ledger.sides if cue.side == side)
    assert cue.told == 1
    assert cue.step > 1
    assert any(f"the step at the {side} is" in text for text in ledger.verdicts())


def test_bars_are_found_as_lines_without_steps(tmp_path: Path) -> None:
    pictures = noise()
    pictures[:, :3] = pictures[:, -3:] = 16
    ledger = ledger_of(pictures, tmp_path)
    assert {"top", "bottom"} <= found(ledger)
    assert {"left", "right"}.isdisjoint(found(ledger))
    assert max(cue.step for cue in ledger.sides if cue.side in ("top", "bottom")) < -3


def test_subsampled_chroma_is_found_in_chroma_only(tmp_path: Path) -> None:
    """4:2:0 as in MPEG-2: chroma lies on every other column, but between the rows."""
    pictures = noise()
    luma = pictures @ np.array([0.299, 0.587, 0.114])
    chroma = pictures - luma[..., None]
    soft = (np.roll(chroma, 1, 2) + 2 * chroma + np.roll(chroma, -1, 2))[:, :, ::2] / 4
    few = (soft[:, ::2] + soft[:, 1::2]) / 2
    wide = np.stack([few, (few + np.roll(few, -1, 2)) / 2], axis=3).reshape(
        VIDEOS, SIDE // 2, SIDE, 3
    )
    above, below = (0.75 * wide + 0.25 * np.roll(wide, shift, 1) for shift in (1, -1))
    full = np.stack([above, below], axis=2).reshape(pictures.shape)
    assert found(ledger_of(luma[..., None] + full, tmp_path)) == {"Cb", "Cr"}


def test_videos_without_detail_reveal_nothing(tmp_path: Path) -> None:
    ledger = ledger_of(np.zeros((4, SIDE, SIDE, 3)), tmp_path)
    assert found(ledger) == set()
    assert {(cue.mean, cue.told) for cue in ledger.axes} == {(0, 0.5)}


def test_videos_are_spread_over_the_split(tmp_path: Path) -> None:
    """Half of the videos, every other one, are those that are read."""
    pictures = noise()[:30]
    pictures[1:29:2, 0] = 0
    store = store_of(pictures, tmp_path)
    assert read_ledger(store, "train", videos=15).videos == 15
    assert read_ledger(store, "train", videos=1000).videos == 30
    seen: list[tuple[int, int]] = []
    read_ledger(store, "train", videos=6, advance=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 6), (6, 6)]


@pytest.mark.parametrize(("videos", "says"), [(1, "at least 2 videos")])
def test_too_few_videos_are_refused(tmp_path: Path, videos: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_ledger(store_of(noise()[:3], tmp_path), "all", videos=videos)


def spoil(store: Store, *videos: int) -> None:
    """Overwrite the only frame of videos with zeros."""
    for video in videos:
        with store.shard_path(video).open("r+b") as file:
            file.seek(int(store.offset[video]))
            file.write(bytes(int(store.bytes[video])))


def test_an_unreadable_video_is_skipped_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = noise()[:6]
    store = store_of(pictures, tmp_path / "spoilt")
    spoil(store, 3, 5)
    ledger = read_ledger(store, "all", videos=6)
    others = ledger_of(pictures[[0, 1, 2, 4]], tmp_path / "others")
    assert ledger.videos == others.videos == 4
    for cue, expected in zip(ledger.axes, others.axes, strict=True):
        assert cue.mean == pytest.approx(expected.mean, abs=1e-6)
        assert cue.interval == pytest.approx(expected.interval, abs=1e-6)
    assert sorted(each.video for each in ledger.skipped) == ["003", "005"]
    assert main(["store", "cues", str(store.path)]) == 0
    printed = capsys.readouterr().out
    assert "2 videos skipped as unreadable:" in printed
    assert all(each.reason in printed for each in ledger.skipped)
    spoil(store, 0, 1, 2)
    assert main(["store", "cues", str(store.path)]) == 1
    assert "1 of 6 videos of" in capsys.readouterr().err


def test_tiny_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="frames of 7 pixels: at least 8"):
        read_ledger(store_of(noise()[:3, :7, :7], tmp_path), "all", videos=3)


def test_a_contrast_by_hand() -> None:
    contrast = Contrast.of(np.array([-1.0, -2.0, 0.0, 1.0, -3.0]))
    low, high = scipy.stats.t.interval(0.95, 4, loc=-1, scale=scipy.stats.sem([-1, -2, 0, 1, -3]))
    assert contrast.mean == -1
    assert contrast.interval == pytest.approx((high - low) / 2, rel=2e-3)
    assert contrast.told == pytest.approx(0.7)  # three below 0, and half of the one at 0


def test_the_command_prints_the_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = store_of(noise(), tmp_path, fit="stretch").path
    command = ["store", "cues", str(path), "--split", "train", "--videos", "8"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "split train: 8 videos, 8 frames each; raw, 64x64" in printed
    assert "cues: 8/8 videos" in printed
    assert "aspect: fit stretch: " in printed
    assert main([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["videos"], values["fit"], len(values["axes"])) == (8, "stretch", 6)
    assert [side["side"] for side in values["sides"]] == ["top", "bottom", "left", "right"]
    assert main(["store", "cues", str(path), "--split", "val"]) == 2
    assert "has no split 'val'" in capsys.readouterr().err


def test_with_a_gpu_a_machine_of_many_cores_gives_dali_a_few_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def loader(*_: object, options: LoaderOptions, **__: object) -> None:
        asked.append(options.threads)
        raise RuntimeError("not needed")

    monkeypatch.setattr(cue_ledger, "Loader", loader)
    monkeypatch.setattr(cue_ledger, "cores", lambda: 96)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(RuntimeError, match="not needed"):
        ledger_of(noise(), tmp_path)
    assert asked == [MOST_WITH_GPU]
