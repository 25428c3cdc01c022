"""Features other than the figure's shape and motion reveal neither rotation nor action.

Linear probes of cheap features of decoded videos, fitted on one half of them and tested on the other,
whose subjects and scenes they have not seen. The last tests show that the probes do find cheap cues
where a moving camera or a horizon puts them.

Thresholds: chance and three standard errors, where the turns of one video count as one. The strength of
differences reveals more of the action, since the amount of motion is part of an action: see its test.
"""

from functools import cache

import av
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.film import Shot, film
from fastrot.synthetic.video import write_video
from pipelines.loading.motion import compensated_differences, trim

pytestmark = pytest.mark.slow  # the bounds need hundreds of videos

SIZE, FRAMES, STRIDE = 32, 17, 2
VIDEOS = 360


def three_errors_above(chance, tested):
    return chance + 3 * np.sqrt(chance * (1 - chance) / tested)


ROTATION_BOUND = three_errors_above(1 / 4, VIDEOS // 2)  # 0.35
ACTION_BOUND = three_errors_above(1 / 12, VIDEOS // 2)  # 0.145


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    """Videos as (N, SIZE, SIZE, 3) means: of frames ("rgb"), differences ("dif") and their size ("|dif|")."""
    file = tmp_path_factory.mktemp("hardness") / "video.avi"

    @cache
    def pictures(count=VIDEOS, **options):
        rgb, dif, strength = [], [], []
        for number in range(count):
            # Every video has a subject and a scene of its own; the actions take turns.
            action = list(ACTIONS)[number % len(ACTIONS)]
            shot = Shot(f"probe {number}", action, f"probe {number}", f"probe {number}")
            write_video(file, film(shot, seed=0, frames=FRAMES, size=SIZE, **options), fps=25)
            with av.open(str(file)) as container:
                frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
            frames = np.stack(frames)[::STRIDE].astype(np.float32)
            rgb.append(np.mean(frames, axis=0))
            dif.append(np.diff(frames, axis=0).mean(axis=0))
            strength.append(np.abs(np.diff(frames, axis=0)).mean(axis=0))
        return {"rgb": np.stack(rgb), "dif": np.stack(dif), "|dif|": np.stack(strength)}

    return pictures


def borders(pictures):
    """The outermost two rows and columns of each side, (N, 4 * SIZE * 3)."""
    sides = [pictures[:, :2].mean(axis=1), pictures[:, -2:].mean(axis=1)]
    sides += [pictures[:, :, :2].mean(axis=2), pictures[:, :, -2:].mean(axis=2)]
    return np.concatenate(sides, axis=1).reshape(len(pictures), -1)


def channels(pictures):
    """Mean of each channel, (N, 3); they reveal no rotation, whatever their values."""
    return pictures.mean(axis=(1, 2))


def thumbnails(pictures):
    """(N, 8 * 8 * 3)."""
    cell = SIZE // 8
    return pictures.reshape(-1, 8, cell, 8, cell, 3).mean(axis=(2, 4)).reshape(len(pictures), -1)


def small_thumbnails(pictures):
    """(N, 7 * 7 * 3) of pictures without their outermost two rows and columns."""
    return pictures.reshape(-1, 7, 4, 7, 4, 3).mean(axis=(2, 4)).reshape(len(pictures), -1)


def accuracy(features, labels, videos):
    """Test accuracy of the better of two regularisations, fitted on the first half of the videos."""
    fitted = videos < (videos.max() + 1) // 2
    scores = []
    for c in (1e-4, 1e-2):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300))
        model.fit(features[fitted], labels[fitted])
        scores.append(model.score(features[~fitted], labels[~fitted]))
    return max(scores)


def rotation_accuracy(pictures, feature):
    turned = [np.rot90(pictures, turn, axes=(1, 2)) for turn in range(4)]
    features = np.concatenate([feature(each) for each in turned])
    labels, videos = np.divmod(np.arange(4 * len(pictures)), len(pictures))
    return accuracy(features, labels, videos)


def action_accuracy(pictures, feature):
    videos = np.arange(len(pictures))
    return accuracy(feature(pictures), videos % len(ACTIONS), videos)


@pytest.mark.parametrize("kind", ["rgb", "dif", "|dif|"])
@pytest.mark.parametrize("feature", [borders, thumbnails])
def test_rotation_is_not_told_by_borders_or_thumbnails(look, kind, feature):
    # Their strength included: where in the frame things move does not reveal which way is up.
    assert rotation_accuracy(look()[kind], feature) < ROTATION_BOUND


@pytest.mark.parametrize("kind", ["rgb", "dif"])
@pytest.mark.parametrize("feature", [borders, channels, thumbnails])
def test_action_is_not_told_by_colours_or_differences(look, kind, feature):
    assert action_accuracy(look()[kind], feature) < ACTION_BOUND


@pytest.mark.parametrize("feature", [borders, channels, thumbnails])
def test_action_is_hardly_told_by_the_amount_of_motion(look, feature):
    # The amount of motion is part of an action: a cartwheel moves the whole body, a wave an arm. So
    # this bound is 3.6 times chance. What can be learnt is far above it.
    assert action_accuracy(look()["|dif|"], feature) < 0.3


@pytest.mark.parametrize("kind", ["rgb", "|dif|"])
@pytest.mark.parametrize("feature", [borders, channels, thumbnails])
def test_nothing_is_told_without_the_figure(look, kind, feature):
    empty = look(144, figure=False)[kind]
    tested = len(empty) // 2
    if feature is not channels:  # these are the same in every rotation
        assert rotation_accuracy(empty, feature) < three_errors_above(1 / 4, tested)
    assert action_accuracy(empty, feature) < three_errors_above(1 / 12, tested)


def test_a_horizon_is_found_by_the_same_probe(look):
    outdoors = look(96, horizon=True)
    assert rotation_accuracy(outdoors["rgb"], thumbnails) > 0.6
    # It does not move, so the differences do not show it.
    assert rotation_accuracy(outdoors["|dif|"], thumbnails) < three_errors_above(1 / 4, 48)


def test_a_horizon_is_found_in_the_differences_too_where_the_camera_moves(look):
    outdoors = look(96, horizon=True, camera="moving")
    assert rotation_accuracy(outdoors["rgb"], thumbnails) > 0.6
    assert rotation_accuracy(outdoors["|dif|"], borders) > 0.6


def test_without_the_cameras_motion_the_differences_do_not_show_the_horizon():
    frames = [
        film(
            Shot(f"probe {number}", list(ACTIONS)[number % 12], f"{number}", f"probe {number}"),
            **{"seed": 0, "frames": 17, "size": 2 * SIZE, "camera": "moving", "horizon": True},
        )[::STRIDE]
        for number in range(96)
    ]
    clips = torch.from_numpy(np.stack(frames))
    plain = clips[:, 1:].short() - clips[:, :-1].short()
    left = torch.cat([compensated_differences(few) for few in clips.split(16)])

    def strength(differences):
        trimmed = trim(differences, 16).float().abs().mean(1).numpy()
        return trimmed.reshape(96, SIZE, 2, SIZE, 2, 3).mean(axis=(2, 4))[:, 2:-2, 2:-2]

    assert strength(left).mean() > 0.3  # the figures are there still
    assert rotation_accuracy(strength(plain), borders) > 0.5  # it is not the dead zone alone
    for feature in (borders, small_thumbnails):
        assert rotation_accuracy(strength(left), feature) < three_errors_above(1 / 4, 48)
