"""Evaluations of stores with a video that cannot be read: as without it, and it is named."""

import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix

from fastrot.cli import main
from fastrot.evaluation.action import score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.extract import extract
from fastrot.evaluation.features import block_features
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.probe import probe_blocks
from fastrot.evaluation.retrieval import retrieve
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.unreadable import Skipped, settle
from pipelines.errors import FastrotError
from pipelines.loading.replacement import Replaced, VideoTolerance
from pipelines.store.reading import Store
from tests.fastrot.evaluation.test_evaluation import clips_one_by_one, trained_network

BROKEN = 2
OTHERS = [0, 1, 3, 4, 5]


def spoil(store, *videos):
    """Overwrite videos with zeros."""
    for video in videos:
        with store.shard_path(video).open("r+b") as file:
            file.seek(int(store.offset[video]))
            file.write(bytes(int(store.bytes[video])))


@pytest.fixture
def stores(make_store, tmp_path):
    """Return a function that makes an intact store, and a copy with a damaged video."""

    def make(codec="raw"):
        whole = make_store(codec)
        shutil.copytree(whole.path, tmp_path / "spoilt")
        spoilt = Store.open(tmp_path / "spoilt")
        spoil(spoilt, BROKEN)
        return whole, spoilt

    return make


@pytest.mark.parametrize("codec", ["raw", "mjpeg"])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_action_accuracies_are_those_of_the_other_videos(
    tiny_config, runtime, stores, codec, batch
):
    whole, spoilt = stores(codec)
    trained = trained_network(tiny_config(task="action"), runtime)
    result, found = score_action(trained, ClipSet(spoilt, "all", 3, batch), runtime)
    _, expected = score_action(trained, ClipSet(whole, "all", 3, batch), runtime)
    np.testing.assert_allclose(found.softmax, expected.softmax[OTHERS], rtol=1e-5)
    assert found.names == [whole.name(i) for i in OTHERS]
    truth = whole.labels[OTHERS]
    right = accuracy_score(truth, expected.softmax[OTHERS].argmax(axis=1))
    assert result.video_top1 == pytest.approx(right)
    trained.network.eval()
    with torch.no_grad():
        answers = [
            int(trained.network(clip).argmax()) for clip, _ in clips_one_by_one(whole, "all", 3)
        ]
    of_others = np.array(answers).reshape(6, 3)[OTHERS].ravel()
    if codec == "raw":  # the reference decodes no JPEG
        assert result.clip_top1 == pytest.approx(accuracy_score(np.repeat(truth, 3), of_others))
    assert result.protocol.videos == 5
    assert [each.video for each in result.skipped] == [whole.name(BROKEN)]
    assert result.lines()[-2].startswith("1 video skipped")
    assert whole.name(BROKEN) in result.lines()[-1]


def test_rotation_accuracy_is_that_of_the_other_videos(tiny_config, runtime, stores):
    whole, spoilt = stores()
    trained = trained_network(tiny_config(), runtime)
    found = evaluate_rotation(trained, ClipSet(spoilt, "all", 2, batch=3), runtime)
    trained.network.eval()
    truth, answers = [], []
    with torch.no_grad():
        for sample, (clip, _) in enumerate(clips_one_by_one(whole, "all", 2)):
            for turn in range(4):
                if sample // 2 != BROKEN:
                    truth.append(turn)
                    turned = torch.rot90(clip, turn, dims=(3, 4))
                    answers.append(int(trained.network(turned).argmax()))
    assert found.confusion == confusion_matrix(truth, answers, labels=range(4)).tolist()
    assert found.clips == 10
    assert [each.video for each in found.skipped] == [whole.name(BROKEN)]


def test_the_mean_angle_is_that_of_the_other_videos(tiny_config, runtime, stores, monkeypatch):
    whole, spoilt = stores()
    trained = trained_network(tiny_config(rotation={"kind": "regress", "views": 3}), runtime)
    of_batch = []
    errors = getattr(trained.task, "errors")  # noqa: B009  # a task that regresses has it

    def spy(outputs, targets):
        found = errors(outputs, targets)
        of_batch.append(found.numpy())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(trained.task, "errors", spy)
        evaluate_pretext(trained, ClipSet(whole, "all", 2, batch=2), runtime)
    assert len(of_batch) == 6  # a batch is a video
    expected = np.concatenate([of_batch[i] for i in OTHERS])
    result = evaluate_pretext(trained, ClipSet(spoilt, "all", 2, batch=5), runtime)
    assert result.mean_error_degrees == pytest.approx(expected.mean(), rel=1e-5)
    assert result.accuracy == pytest.approx((expected <= 22.5).mean())
    assert (result.clips, len(result.skipped)) == (10, 1)


def test_features_probes_and_retrieval_leave_the_video_out_and_name_it(
    tiny_config, pretext_checkpoint, runtime, stores, tmp_path
):
    whole, spoilt = stores()
    clips = ClipSet(spoilt, "all", 2, quiet=True)
    found = extract(pretext_checkpoint, clips, runtime, block="layer4")
    clips = ClipSet(whole, "all", 2, quiet=True)
    expected = extract(pretext_checkpoint, clips, runtime, block="layer4")
    np.testing.assert_allclose(found.features, expected.features[OTHERS], rtol=1e-5)
    assert found.names == [whole.name(i) for i in OTHERS]
    assert found.labels.tolist() == whole.labels[OTHERS].tolist()
    found.save(tmp_path / "features.npz")
    with np.load(tmp_path / "features.npz") as file:
        assert file["skipped"].tolist() == [whole.name(BROKEN)]

    trained = trained_network(tiny_config(), runtime)
    read = block_features(trained, ClipSet(spoilt, "train1"), runtime).videos
    assert read.tolist() == [v for v in spoilt.select("train1") if v != BROKEN]
    clips = ClipSet(spoilt, "test1", quiet=True)
    for result in (
        probe_blocks(trained, clips, "train1", runtime),
        retrieve(trained, clips, "train1", runtime, ks=[1]),
    ):
        assert result.train_videos == 3
        assert [each.video for each in result.skipped] == [whole.name(BROKEN)]
        assert whole.name(BROKEN) in result.lines()[-1]


def test_the_command_says_it_and_writes_it(
    pretext_checkpoint, one_thread, stores, tmp_path, capsys
):
    whole, spoilt = stores()
    command = ["evaluate", "rotation", str(pretext_checkpoint), "--store", str(spoilt.path)]
    assert main([*command, "--split", "all", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "1 video skipped as unreadable:" in out
    assert f"  video {whole.name(BROKEN)!r} in " in out
    assert f'"video": "{whole.name(BROKEN)}"' in (tmp_path / "out" / "results.json").read_text()


@pytest.mark.parametrize(("share", "broken"), [(0.0, [2]), (0.01, range(6))])
def test_more_than_is_tolerated_is_an_error(tiny_config, runtime, stores, share, broken):
    _, spoilt = stores()
    spoil(spoilt, *broken)
    trained = trained_network(tiny_config(data={"broken_share": share}), runtime)
    with pytest.raises(FastrotError, match=r"of 6 videos cannot be read.*data\.broken_share"):
        evaluate_rotation(trained, ClipSet(spoilt, "all", quiet=True), runtime)


@pytest.mark.parametrize(
    ("share", "videos", "clips", "most"),
    [
        (0.01, 50, 10, 1),  # 10 of 1000 clips, though there are only 500
        (0.01, 3783, 10, 37),
        (0.01, 20, 1, 10),
        (0.01, 40, 200, 1),  # 80 of 8000 clips are less than a video: one is tolerated
        (0.01, 5, 1, 4),  # never all
        (0.0, 5000, 10, 0),
    ],
)
def test_the_share_is_of_clips_and_whole_videos_are_skipped(share, videos, clips, most):
    tolerance = VideoTolerance(share, videos=videos, clips_per_video=clips)
    assert tolerance.most == most
    for video in range(most):
        for clip in range(clips):
            tolerance.note(video * clips + clip, "torn")
    with pytest.raises(FastrotError, match=rf"^{most + 1} of {videos} videos"):
        tolerance.note(most * clips, "torn")


def test_a_video_counts_only_where_every_clip_was_read(runtime):
    unread = [Replaced(sample, f"v{sample // 3}", f"clip {sample}", 0) for sample in (11, 4, 3)]
    kept, skipped = settle(unread, runtime, share=0.01, videos=5, clips_per_video=3)
    assert kept.tolist() == [0, 2, 4]
    assert skipped == [Skipped("v1", "clip 3"), Skipped("v3", "clip 11")]
