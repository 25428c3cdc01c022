"""What ``fastrot demo`` does with its options before any stage runs."""

import json

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


def test_with_json_the_results_are_on_standard_output(tmp_path, monkeypatch, capsys):
    def run_demo(data, out, **_):
        print("a table")
        (out / "results.json").write_text('{"seeds": [0]}')

    monkeypatch.setattr("fastrot.demo.videos.builtin_data", lambda *_: None)
    monkeypatch.setattr("fastrot.demo.demo.run_demo", run_demo)
    assert main(["demo", "--out", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"seeds": [0]}
    assert "a table" in err


def test_the_recipe_reaches_the_stages(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("fastrot.demo.videos.own_data", lambda *_: "data")
    monkeypatch.setattr("fastrot.demo.videos.builtin_data", lambda *_: "data")
    monkeypatch.setattr(
        "fastrot.demo.demo.run_demo", lambda data, out, *, recipe, **_: asked.append(recipe)
    )
    monkeypatch.setattr(
        "fastrot.demo.compare_recipes.compare_recipes",
        lambda data, out, overrides: asked.append(overrides),
    )
    out = ["--out", str(tmp_path)]
    for recipe in ("paper", "augmented", "speed", "both"):
        assert main(["demo", "--source", str(tmp_path), "--recipe", recipe, *out]) == 0
    assert main(["demo", *out]) == 0
    assert main(["demo", *out, "--recipe", "all", "--pretrain", "seed=1"]) == 0
    assert asked == ["paper", "augmented", "speed", "both", "paper", ["seed=1"]]
    assert f"results in {tmp_path}/recipes.json" in capsys.readouterr().out
    for recipe in ("speed", "both"):
        assert main(["demo", *out, "--recipe", recipe]) == 2
        assert f"--recipe {recipe} needs longer videos" in capsys.readouterr().err
