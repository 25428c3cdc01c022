"""What ``fastrot demo`` does with its options before any stage runs."""

from fastrot.cli import main
from fastrot.synthetic.dataset import DemoSpec


def test_camera_and_horizon_reach_the_set(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("fastrot.demo.videos.builtin_data", lambda out, spec: asked.append(spec))
    monkeypatch.setattr("fastrot.demo.demo.run_demo", lambda data, out, **_: None)
    out = str(tmp_path)
    assert main(["demo", "--out", out, "--camera", "moving", "--horizon"]) == 0
    assert main(["demo", "--out", out]) == 0
    assert asked == [DemoSpec(camera="moving", horizon=True), DemoSpec()]


def test_a_camera_for_ones_own_videos_is_wrong_usage(tmp_path, capsys):
    for option in (["--camera", "moving"], ["--horizon"]):
        assert main(["demo", "--source", str(tmp_path), *option]) == 2
        assert "--camera and --horizon apply to the built-in videos only" in capsys.readouterr().err
