"""Camera motion is taken out of differences, a subject's own motion is not."""

import numpy as np
import pytest
import torch

from pipelines.loading.motion import compensated_differences, trim

ndimage = pytest.importorskip("scipy.ndimage")  # machines lent for their GPU may lack it

SIZE = 48


def texture(seed, size=SIZE):
    rough = ndimage.gaussian_filter(
        np.random.default_rng(seed).standard_normal((size, size, 3)), (2, 2, 0)
    )
    return 128 + 50 * rough / rough.std()


def moved(picture, *, shift=(0.0, 0.0), zoom=1.0, turn=0.0):
    """SciPy's cubic sampling of a picture moved (down, right), magnified and turned about its middle."""
    cos, sin = np.cos(turn), np.sin(turn)
    back = np.array([[cos, sin], [-sin, cos]]) / zoom
    middle = (np.array(picture.shape[:2]) - 1) / 2
    offset = middle - back @ (middle + np.array(shift))
    channels = [
        ndimage.affine_transform(picture[..., c], back, offset, mode="reflect", order=3)
        for c in range(3)
    ]
    return np.stack(channels, axis=-1).clip(0, 255)


def clip(*pictures):
    return torch.from_numpy(np.stack(pictures).round().astype(np.uint8))[None]


def plain(frames):
    return frames[:, 1:].short() - frames[:, :-1].short()


@pytest.mark.parametrize(
    "motion",
    [
        {"shift": (0.0, 3.0)},
        {"shift": (-1.4, 2.3)},
        {"zoom": 1.05},
        {"turn": 0.05},
        {"shift": (1.5, -2.0), "zoom": 0.97, "turn": -0.03},
    ],
)
def test_what_a_camera_does_leaves_next_to_nothing(motion):
    scene = texture(0)
    twice = {key: 2 * np.array(value) for key, value in motion.items() if key != "zoom"}
    if "zoom" in motion:
        twice["zoom"] = motion["zoom"] ** 2
    frames = clip(scene, moved(scene, **motion), moved(scene, **twice))
    left = compensated_differences(frames)
    assert left.shape == (1, 2, SIZE, SIZE, 3)
    assert left.dtype == torch.int16
    middle = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    before, after = plain(frames)[middle].float().abs(), left[middle].float().abs()
    assert after.mean() < 2.5  # bilinear sampling blurs a little
    assert after.mean() < before.mean() / 5


def test_a_subject_that_moves_by_itself_stays():
    scene, other = texture(1), moved(texture(1), shift=(0.0, 2.5))
    bright = np.array([250.0, 250.0, 250.0])
    scene[10:22, 20:26] = bright
    other[18:30, 20:26] = bright
    left = compensated_differences(clip(scene, other))[0, 0].float().abs().mean(-1)
    subject = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    subject[8:32, 18:30] = True
    around = ~subject
    around[:4], around[-4:], around[:, :4], around[:, -4:] = False, False, False, False
    assert left[23:30, 20:26].mean() > 50
    assert left[around].mean() < 2.5


def test_a_still_camera_gives_plain_differences():
    noise = np.random.default_rng(2)
    scene = texture(2)
    pictures = [scene + noise.normal(0, 1.5, (SIZE, SIZE, 1)) for _ in range(3)]
    frames = clip(*[picture.clip(0, 255) for picture in pictures])
    away = (compensated_differences(frames) - plain(frames)).float().abs()
    inner = away[:, :, 2:-2, 2:-2]
    assert inner.mean() < 0.5


def test_flat_pictures_have_no_motion():
    frames = torch.full((2, 3, 16, 16, 3), 100, dtype=torch.uint8)
    frames[1, 1] = 130  # a flash is no motion either
    np.testing.assert_array_equal(compensated_differences(frames), plain(frames))


def test_uncovered_border_is_of_equal_width_on_every_side():
    scene = texture(3)
    noise = np.random.default_rng(3).integers(1, 4, scene.shape)  # shows where differences are kept
    left = compensated_differences(clip(scene, moved(scene, shift=(0.0, 4.0)) - noise))[0, 0]
    rows, columns = np.nonzero(left.abs().sum(-1).numpy())
    sides = [rows.min(), SIZE - 1 - rows.max(), columns.min(), SIZE - 1 - columns.max()]
    assert min(sides) >= 4
    assert max(sides) - min(sides) <= 1


def test_a_turned_clip_gives_the_turned_differences():
    scene = texture(4)
    frames = clip(scene, moved(scene, shift=(1.0, 2.5), turn=0.02))
    straight = torch.rot90(compensated_differences(frames), 1, (2, 3))
    turned = compensated_differences(torch.rot90(frames, 1, (2, 3)))
    assert (straight - turned).abs().max() <= 1


def test_each_clip_of_a_batch_is_its_own():
    pans = [(0.0, 2.0), (3.0, 0.0)]
    frames = [clip(texture(5), moved(texture(5), shift=pan)) for pan in pans]
    together = compensated_differences(torch.cat(frames))
    for alone, one in zip(frames, together, strict=True):
        assert (compensated_differences(alone)[0] - one).abs().max() <= 1


def test_a_cut_between_scenes_is_left_as_it_is():
    left_alone = 0
    for seed in range(10, 30):
        scene, other = texture(seed, 112), texture(100 + seed, 112)
        frames = clip(scene, other, moved(other, shift=(0.0, 2.0)))
        left = compensated_differences(frames)[:, :, 3:-3, 3:-3]
        left_alone += torch.equal(left[:, 0], plain(frames)[:, 0, 3:-3, 3:-3])
        assert left[:, 1].float().abs().mean() < 4
    assert left_alone >= 18


@pytest.mark.parametrize("shift", [(0.0, 6.0), (5.0, -8.0)])
def test_fast_pans_are_followed(shift):
    scene = texture(8, 112)
    left = compensated_differences(clip(scene, moved(scene, shift=shift)))
    assert left[:, :, 10:-10, 10:-10].float().abs().mean() < 2.5


@pytest.mark.gpu
def test_a_gpu_gives_the_same():
    scene = texture(9)
    frames = clip(scene, moved(scene, shift=(1.0, 2.5), turn=0.02))
    away = compensated_differences(frames.cuda()).cpu() - compensated_differences(frames)
    assert away.abs().max() <= 1


@pytest.mark.parametrize(
    "frames",
    [
        torch.zeros(3, 16, 16, 3, dtype=torch.uint8),
        torch.zeros(1, 3, 16, 16, 3),
        torch.zeros(1, 1, 16, 16, 3, dtype=torch.uint8),
        torch.zeros(1, 2, 1, 16, 3, dtype=torch.uint8),
    ],
)
def test_what_are_no_frames_is_refused(frames):
    with pytest.raises(ValueError, match="frames"):
        compensated_differences(frames)


def test_trim_by_hand():
    values = torch.tensor([-255, -9, -8, -3, 0, 8, 10], dtype=torch.int16)
    trimmed = trim(values, 8)
    assert trimmed.tolist() == [-247, -1, 0, 0, 0, 0, 2]
    assert trimmed.dtype == torch.int16
