from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from fastrot.config import Config, DataConfig, from_mapping, load_config, to_mapping, to_yaml
from fastrot.config.data_config import STATISTICS
from fastrot.config.schema import Depth
from fastrot.models.resnet3d import BLOCKS
from pipelines.errors import FastrotError, UsageError

CONFIGS = Path(__file__).parents[3] / "configs"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_floats_that_yaml_takes_for_text_are_numbers(tmp_path: Path) -> None:
    assert yaml.safe_load("1e-3") == "1e-3"  # why this needs a test
    path = write(tmp_path / "a.yaml", "optim: {lr: 1e-3}")
    assert load_config(path).optim.lr == 0.001
    assert load_config(path, ["optim.lr=2e-3"]).optim.lr == 0.002


def test_overrides_beat_the_file_which_beats_what_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    write(tmp_path / "base" / "b.yaml", "seed: 1\ntrain: {batch: 8, accumulate: 2, log_every: 5}")
    path = write(tmp_path / "a.yaml", "extends: base/b.yaml\ntrain: {accumulate: 4, log_every: 6}")
    config = load_config(path, ["train.log_every=7"])
    assert (config.seed, config.train.batch) == (1, 8)
    assert (config.train.accumulate, config.train.log_every) == (4, 7)


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b.yaml")
    path = write(tmp_path / "b.yaml", "extends: a.yaml")
    with pytest.raises(UsageError, match="cycle"):
        load_config(path)


def test_a_run_is_called_after_its_file_unless_named(tmp_path: Path) -> None:
    path = write(tmp_path / "trial.yaml", "")
    assert load_config(path).name == "trial"
    assert load_config(path, ["name=007"]).name == "007"  # not the number 7


def test_an_unknown_key_names_the_nearest_and_all_of_its_section(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "data: {crpo: 3}")
    with pytest.raises(UsageError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "a.yaml" in message
    assert "unknown key data.crpo; did you mean data.crop?" in message
    assert "store, source, split, eval_split, modality" in message
    with pytest.raises(UsageError, match=r"unknown key dta; did you mean data\?"):
        from_mapping({"dta": {}})


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data.crop=wide", "data.crop is 'wide': it must be a whole number"),
        ("data.crop=1.5", "data.crop is 1.5: it must be a whole number"),
        ("data.crop=true", "data.crop is True"),
        ("data.crop=0", "data.crop is 0: it must be between 1 and 8192"),
        ("data.crop=-3", "data.crop is -3"),
        ("data.flip=1.5", "data.flip is 1.5: it must be between 0 and 1"),
        ("data.flip=.nan", "data.flip is nan: it must be a finite number"),
        ("optim.lr=nan", "optim.lr is 'nan': it must be a finite number"),
        ("optim.lr=0", "optim.lr is 0.0: it must be above 0"),
        ("optim.lr=[1]", "optim.lr is"),
        ("optim.nesterov=1", "optim.nesterov is 1: it must be true or false"),
        ("data.mean=[1, 2]", "data.mean is"),
        ("data.mean=[1, 2, x]", r"data.mean\[2\] is 'x'"),
        ("data.std=[1, 0, 1]", "data.std is"),
        ("data.modality=flow", "data.modality is 'flow': choose one of rgb, dif"),
        ("model.depth=50", "model.depth is 50: choose one of 10, 18, 34"),
        ("data.scale=[0.4]", r"data.scale is \[0.4\]: give two numbers"),
        ("data.scale=[0.5, 0.4]", "data.scale is .*the smallest and the largest"),
        ("data.scale=[0.4, 1.1]", "data.scale is 1.1: it must be between 0.01 and 1"),
        ("data.aspect=[0.75, 1.5]", "data.aspect is .*the product of both must be 1.*reveal"),
        ("data.grey=2", "data.grey is 2.0"),
        ("data.gain=0.5", "data.gain is 0.5: it must be between 1 and 16"),
        ("data.polarity=true", "data.polarity is True.*set data.modality=dif"),
        ("train.epochs=0", "train.epochs is 0.0"),
        ("train.batch=1e30", "train.batch is '1e30'"),
        ("seed=99999999999999999999", "seed is"),
        ("name=a/b", "name is 'a/b'"),
        ("rotation.degrees=90", "rotation.degrees is 90: it must be a list"),
        ("rotation.speeds=[2]", r"rotation.speeds is \[2\]: give 2 to 16 different speeds"),
        ("rotation.speeds=[1, 1]", r"rotation.speeds is \[1, 1\]: give 2 to 16 different"),
        ("rotation.speeds=[0, 1]", "rotation.speeds is 0: it must be between 1 and"),
        ("rotation.speed_weight=0", "rotation.speed_weight is 0.0: it must be above 0"),
        ("train=5", "it is a section"),
        ("data.crop", "is not an override: write key=value"),
        ("data.crop.x=1", "data.crop is"),
        ("data.crop=[", "data.crop=. is not valid YAML"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(tmp_path: Path, override: str, says: str) -> None:
    path = write(tmp_path / "a.yaml", "")
    with pytest.raises(UsageError, match=says):
        load_config(path, [override])


@pytest.mark.parametrize(
    "override",
    ["data.scale=[0.4, 1]", "data.aspect=[0.75, 1.333]", "data.grey=0.5", "data.gain=1.8"],
)
def test_unprepared_videos_are_not_augmented(tmp_path: Path, override: str) -> None:
    path, name = write(tmp_path / "a.yaml", ""), override.partition("=")[0]
    assert load_config(path, [override]).data.source == "store"
    with pytest.raises(UsageError, match=rf"{name} is .*source=reader has no augmentation"):
        load_config(path, [override, "data.source=reader"])


def test_speeds_are_a_part_of_classifying_rotations_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rotation\.speeds is .* needs rotation\.kind=classify"):
        load_config(write(tmp_path / "a.yaml", "rotation: {kind: regress, speeds: [1, 2]}"))
    with pytest.raises(UsageError, match=r"rotation.speeds is \[1, 2\], but task is action"):
        load_config(write(tmp_path / "a.yaml", "task: action"), ["rotation.speeds=[1, 2]"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("{frames: 1}", "data.frames is 1: use at least 2"),
        ("{stride: 2049}", "more than 4096 frames"),
    ],
)
def test_speeds_that_no_clip_can_have_are_refused(tmp_path: Path, data: str, says: str) -> None:
    path = write(tmp_path / "a.yaml", f"data: {data}")
    with pytest.raises(UsageError, match=rf"rotation\.speeds is \[1, 2\].*{says}"):
        load_config(path, ["rotation.speeds=[1, 2]"])


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FastrotError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"list\.yaml must contain keys"):
        load_config(write(tmp_path / "list.yaml", "- 1"))
    with pytest.raises(UsageError, match=r"bad\.yaml is not valid YAML"):
        load_config(write(tmp_path / "bad.yaml", "a: [1"))


@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_written_and_read_again_it_is_the_same(tmp_path: Path, modality: Any) -> None:
    config = Config(name="x", data=DataConfig(modality=modality, eval_split="test1"))
    again = load_config(write(tmp_path / "a.yaml", to_yaml(config)))
    assert to_mapping(again) == to_mapping(config)
    assert again.data.statistics == config.data.statistics


def test_statistics_follow_the_modality_unless_given() -> None:
    assert DataConfig().statistics[0] == [0.4339, 0.4046, 0.3776]
    assert DataConfig(modality="dif").statistics == ([0.0] * 3, [0.1] * 3)
    assert DataConfig(mean=[0.0] * 3).statistics == ([0.0] * 3, DataConfig().statistics[1])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"data": {"store": "s"}, "train": {"epochs": 1}}, "name is empty"),
        ({"name": "a", "train": {"epochs": 1}}, "data.store is empty"),
        ({"name": "a", "data": {"store": "s"}}, "exactly one.*neither"),
        (
            {"name": "a", "data": {"store": "s"}, "train": {"epochs": 1, "iterations": 1}},
            "exactly one.*both",
        ),
    ],
)
def test_what_a_run_needs_is_asked_for(values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        from_mapping(values).check_runnable()


def test_depths_are_those_of_the_network() -> None:
    assert set(get_args(Depth)) == set(BLOCKS)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_config_in_the_project_loads(path: Path) -> None:
    load_config(path, ["data.store=STORE"]).check_runnable()


def test_the_papers_values_are_in_the_configs() -> None:
    pretrain = load_config(CONFIGS / "pretrain" / "kinetics_rgb_16.yaml")
    assert (pretrain.train.iterations, pretrain.train.batch) == (104_000, 32)
    assert (pretrain.optim.lr, pretrain.optim.step_size, pretrain.optim.gamma) == (0.1, 24_000, 0.1)
    assert (pretrain.data.frames, pretrain.data.crop, pretrain.data.flip) == (16, 112, 0.5)


SETTINGS = [(modality, frames) for modality in ("rgb", "dif") for frames in (16, 32, 64)]


@pytest.mark.parametrize(("modality", "frames"), SETTINGS)
@pytest.mark.parametrize("data_set", ["kinetics", "moments", "ucf101", "hmdb51"])
def test_every_setting_has_its_config(data_set: str, modality: str, frames: int) -> None:
    folder = "pretrain" if data_set in ("kinetics", "moments") else "finetune"
    name = f"{data_set}_{modality}_{frames}"
    config = load_config(CONFIGS / folder / f"{name}.yaml")
    assert config.name == name
    assert config.data.store == f"stores/{data_set}"
    assert (config.data.modality, config.data.frames) == (modality, frames)
    assert config.data.statistics[0] == STATISTICS[modality][0]
    assert config.data.statistics[1] == STATISTICS[modality][1]
    if folder == "pretrain":
        assert config.task == "rotation"
        assert config.data.split == ("all" if data_set == "kinetics" else "train")
    else:
        assert config.task == "action"
        assert config.init == f"runs/kinetics_{modality}_{frames}/checkpoints/last.pt"
        assert (config.optim.lr, config.optim.step_size, config.train.epochs) == (0.008, 4000, 100)
        assert (config.data.split, config.data.eval_split) == ("train1", "test1")


@pytest.mark.parametrize(("modality", "frames"), SETTINGS)
def test_the_speeds_fit_in_kinetics_and_change_nothing_else(modality: str, frames: int) -> None:
    path = CONFIGS / "pretrain" / f"kinetics_{modality}_{frames}_speed.yaml"
    config, base = load_config(path), load_config(path.with_stem(path.stem[: -len("_speed")]))
    speeds = config.rotation.speeds
    assert speeds == ([1, 2] if frames == 64 else [1, 2, 4])
    assert replace(config, name=base.name, rotation=base.rotation) == base
    last = (frames - 1 + (modality == "dif")) * max(speeds)
    assert last < 160  # the frames of a video, section 4.2
    assert f"spans {last + 1} of a video's 160 frames" in path.read_text()


@pytest.mark.parametrize(("modality", "frames"), SETTINGS)
@pytest.mark.parametrize("data_set", ["kinetics", "ucf101", "hmdb51"])
def test_the_augmented_configs_change_only_the_clips(
    data_set: str, modality: str, frames: int
) -> None:
    folder = "pretrain" if data_set == "kinetics" else "finetune"
    path = CONFIGS / folder / f"{data_set}_{modality}_{frames}_augmented.yaml"
    config, base = load_config(path), load_config(path.with_stem(path.stem[: -len("_augmented")]))
    mine = (config.data.scale, config.data.aspect, config.data.grey, config.data.gain)
    assert mine == ([0.4, 1.0], [0.75, 1.333], 0.5, 1.8)
    assert config.data.polarity == (modality == "dif")
    off = DataConfig()
    plain = {key: getattr(off, key) for key in ("scale", "aspect", "grey", "gain", "polarity")}
    assert replace(config.data, **plain) == base.data
    assert replace(config, name=base.name, init=base.init, data=base.data) == base
    if folder == "finetune":
        assert config.init == f"runs/kinetics_{modality}_{frames}_augmented/checkpoints/last.pt"


@pytest.mark.parametrize(("key", "value"), [("camera_motion", "remove"), ("dead_zone", 8)])
def test_options_of_differences_are_refused_for_rgb(key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"data\.{key} is .*data\.modality=dif"):
        DataConfig(**{key: value})
    assert DataConfig(modality="dif", **{key: value})


def test_configs_that_come_with_fastrot_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pretrain/kinetics_rgb_16.yaml", "configs/pretrain/kinetics_rgb_16.yaml"):
        assert load_config(name).name == "kinetics_rgb_16"
    (tmp_path / "pretrain").mkdir()
    write(tmp_path / "pretrain" / "kinetics_rgb_16.yaml", "name: mine")
    assert load_config("pretrain/kinetics_rgb_16.yaml").name == "mine"
    with pytest.raises(
        FastrotError, match=r"nowhere\.yaml does not exist: `fastrot configs` lists"
    ):
        load_config("nowhere.yaml")
    with pytest.raises(FastrotError, match=r"built-in config pretrain/kinetics_rgb_16\.yaml"):
        load_config("kinetics_rgb16")


@pytest.mark.parametrize("prefix", ["", "configs/"])
def test_a_config_extends_one_that_comes_with_fastrot_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    (tmp_path / "mine").mkdir()
    text = f"extends: {prefix}pretrain/kinetics_rgb_16_b1024.yaml\ntrain: {{log_every: 7}}"
    path = write(tmp_path / "mine" / "a.yaml", text)
    monkeypatch.chdir(tmp_path)
    config = load_config(path)  # through two files that come with fastrot
    assert (config.name, config.train.log_every, config.train.batch) == ("a", 7, 1024)
    assert (config.optim.step_size, config.model.width) == (750, 64)
    beside = tmp_path / "mine" / prefix / "pretrain"
    beside.mkdir(parents=True)
    write(beside / "kinetics_rgb_16_b1024.yaml", "train: {batch: 5}")
    assert load_config(path).train.batch == 5  # one's own comes first


def test_the_file_that_extends_a_wrong_one_is_named(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "extends: pretrain/kinetics_rgb_61.yaml")
    path = write(tmp_path / "a.yaml", "extends: base.yaml")
    with pytest.raises(FastrotError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(
        f"{path} extends base.yaml: {tmp_path / 'base.yaml'} extends pretrain/kinetics_rgb_61.yaml: "
        f"config {tmp_path}/pretrain/kinetics_rgb_61.yaml does not exist; "
        "did you mean the built-in config pretrain/kinetics_rgb_"
    )
    write(tmp_path / "base.yaml", "a: [1")
    with pytest.raises(
        UsageError, match=r"a\.yaml extends base\.yaml: .*base\.yaml is not valid YAML"
    ):
        load_config(path)
