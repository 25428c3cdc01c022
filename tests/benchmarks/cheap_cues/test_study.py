"""The cheap-cues study: configs of its trainings, resuming, and a tiny study from end to end."""

import json
from pathlib import Path

import pytest

from benchmarks.cheap_cues import study, study_runs
from benchmarks.cheap_cues.saved_results import load
from benchmarks.cheap_cues.study_plan import CLEAN, OTHERS, TRAP, Pretraining, Transfer
from benchmarks.cheap_cues.study_runs import Settings, Study
from fastrot.demo.videos import DemoData
from pipelines.errors import FastrotError, UsageError

SETTINGS = Settings(6, 3, 1, 18, 32, seeds=1)
PRETRAINED = Pretraining(CLEAN, 1)
TINY = ["--seeds", "1", "--unlabelled", "6", "--groups", "3", "--clips-per-group", "1"]
TINY += ["--frames", "18", "--size", "32", "--finetune", "data.shots=1"]
for stage in ("pretrain", "finetune"):
    for change in ("train.epochs=null", "train.iterations=3", "train.batch=4", "model.width=2"):
        TINY += [f"--{stage}", change]


@pytest.fixture
def stores(monkeypatch):
    """Name the stores instead of making them."""

    def named(out, spec):
        pool, labelled = out / "store-unlabelled", out / "store-labelled"
        return DemoData(pool, "all", labelled, "train1", "test1", f"{spec.camera} {spec.horizon}")

    monkeypatch.setattr(study_runs, "builtin_data", named)


@pytest.mark.usefixtures("stores")
class TestConfig:
    def test_a_pretraining_is_the_demos_on_its_videos(self, tmp_path):
        config = Study(tmp_path, SETTINGS).config(PRETRAINED)
        assert (config.task, config.seed, config.init) == ("rotation", 1, "scratch")
        assert config.data.store == str(tmp_path / "sets" / "static-plain" / "store-unlabelled")
        assert (config.data.modality, config.data.camera_motion) == ("dif", "keep")
        assert config.train.epochs == 10

    def test_a_transfer_starts_from_its_pretraining_on_the_videos_of_another_condition(
        self, tmp_path
    ):
        config = Study(tmp_path, SETTINGS).config(Transfer(PRETRAINED, TRAP, 1))
        pretraining = Study(tmp_path, SETTINGS).config(PRETRAINED)
        folder = Path(pretraining.out) / pretraining.name
        assert config.init == str(folder / "checkpoints" / "last.pt")
        assert config.data.store == str(tmp_path / "sets" / "moving-horizon" / "store-labelled")
        assert (config.task, config.data.split, config.data.shots) == ("action", "train1", 5)
        assert config.train.epochs == 60

    def test_the_bound_differs_from_scratch_in_its_labels_only(self, tmp_path):
        scratch, bound = (
            Study(tmp_path, SETTINGS).config(Transfer(start, TRAP, 2))
            for start in ("scratch", "supervised")
        )
        assert (scratch.init, bound.init) == ("scratch", "scratch")
        assert (scratch.data.shots, bound.data.shots) == (5, 0)
        assert scratch.train == bound.train
        assert scratch.optim == bound.optim
        assert scratch.data.store == bound.data.store

    def test_the_remedy_is_in_both_trainings(self, tmp_path):
        pretraining = Pretraining(OTHERS[0], 0)
        for training in (pretraining, Transfer(pretraining, OTHERS[0], 0)):
            data = Study(tmp_path, SETTINGS).config(training).data
            assert (data.camera_motion, data.dead_zone) == ("remove", 16)


def test_results_are_written_after_each_training_and_not_measured_again(tmp_path, monkeypatch):
    ran = []

    def run(_, training):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(training.key)
        return {"top1": float(len(ran))}

    monkeypatch.setattr(Study, "run", run)
    trainings = [Transfer("scratch", CLEAN, seed) for seed in range(3)]
    with pytest.raises(KeyboardInterrupt):
        study.measure(tmp_path, SETTINGS, trainings)
    written = json.loads((tmp_path / "cheap_cues.json").read_text())
    assert list(written["trainings"]) == ran == [each.key for each in trainings[:2]]
    ran.clear()
    results = study.measure(tmp_path, SETTINGS, trainings)
    assert ran == [trainings[2].key]
    assert [each["top1"] for each in results["trainings"].values()] == [1.0, 2.0, 1.0]
    assert len(results["environments"]) == 1
    assert "command" not in results["environments"][0]


def test_results_of_other_settings_are_not_mixed(tmp_path, monkeypatch):
    study.measure(tmp_path, SETTINGS, [])
    assert not (tmp_path / "cheap_cues.json").exists()  # nothing is measured yet
    monkeypatch.setattr(Study, "run", lambda *_: {})
    study.measure(tmp_path, SETTINGS, [PRETRAINED])
    other = Settings(7, 3, 1, 18, 32, seeds=1)
    with pytest.raises(UsageError, match="results for other settings"):
        study.measure(tmp_path, other, [PRETRAINED])


def test_missing_and_foreign_results_are_reported(tmp_path):
    with pytest.raises(FastrotError, match="measure first"):
        study.main(["--out", str(tmp_path), "--page", str(tmp_path / "page.md")])
    (tmp_path / "cheap_cues.json").write_text('{"cases": {}}')
    with pytest.raises(FastrotError, match="was not written by this benchmark"):
        study.main(["--out", str(tmp_path), "--page", str(tmp_path / "page.md")])


@pytest.mark.slow
def test_a_tiny_study_runs_from_end_to_end(tmp_path, capsys, monkeypatch):
    transfers = [Transfer(start, TRAP, 1) for start in ("scratch", PRETRAINED, "supervised")]
    for module in ("fastrot.demo.videos", "fastrot.data.prepared"):
        monkeypatch.setattr(f"{module}.cores", lambda: 1)  # starting workers takes longer
    monkeypatch.setattr(study, "plan", lambda seeds: [PRETRAINED, *transfers])
    study.main(["--out", str(tmp_path), *TINY, "--seeds", "2"])
    results = load(tmp_path / "cheap_cues.json", study.KEYS)["trainings"]
    tested = results[PRETRAINED.key]["tested"]
    assert set(tested) == {"static-plain", "moving-horizon"}
    assert all(len(each["probe"]) == len(each["probe_random"]) == 5 for each in tested.values())
    assert {each["videos"] for each in tested.values()} == {12}
    assert [results[each.key]["videos"] for each in transfers] == [12, 12, 12]
    assert "trap (moving, horizon) | " in capsys.readouterr().out
    spec = json.loads((tmp_path / "sets/moving-horizon/videos/demo.json").read_text())
    assert (spec["camera"], spec["horizon"]) == ("moving", True)
    monkeypatch.setattr(Study, "run", None)  # would fail if called
    study.main(["--out", str(tmp_path), *TINY, "--seeds", "2"])
    assert "already done" in capsys.readouterr().out
