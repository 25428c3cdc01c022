"""fastrot from Python, from videos to features, in about ten seconds on two CPU cores.

Run it: python docs/tutorial.py [FOLDER]

Every name of the public interface is used once. The network is tiny and is trained for only a few steps:
the tutorial shows how to use the interface, not what accuracy to expect.
"""

import sys
import tempfile
from pathlib import Path

import fastrot
from fastrot.config.builtin import find_config
from fastrot.synthetic.dataset import DemoSpec, make_dataset


def main(folder: Path) -> None:
    """Run every step below ``folder``."""
    # Videos: the demo's generator creates 36 labelled videos of 12 actions in the layout of UCF101.
    spec = DemoSpec(unlabelled=0, groups=3, clips_per_group=1, frames=24, size=64)
    videos = make_dataset(folder / "videos", spec).labelled

    # 1. A store: a few large files instead of many small ones. Unreadable videos are reported and skipped.
    store = fastrot.prepare_videos(
        videos, folder / "store", layout="ucf101", codec="mjpeg", size=64
    )
    print(f"{len(store)} videos of {len(store.classes)} classes, splits {', '.join(store.splits)}")

    # 2. Clips, decoded and cropped by DALI: (B, T, H, W, 3), uint8.
    with fastrot.open_clips(store, split="train1", frames=8, crop=56, batch=4) as loader:
        clips = next(loader).clips
    print(f"clips {tuple(clips.shape)}, {clips.dtype}")

    # 3. The pretext task: every clip in four rotations, (4B, 3, T, H, W). The label is the rotation.
    turns = fastrot.rotation_set([0, 90, 180, 270])
    rotated = fastrot.rotate(
        clips, turns, mean=[0.43, 0.40, 0.38], std=[0.15, 0.15, 0.16], dtype=clips.float().dtype
    )
    print(f"rotated {tuple(rotated.shape)}, labels {turns.labels(len(clips)).tolist()}")

    # 4. Pre-training with one of fastrot's configs, or your own YAML file, and overrides.
    config = fastrot.load_config(
        find_config("pretrain/kinetics_rgb_16.yaml"),
        [
            *(f"data.store={store.path}", f"out={folder / 'runs'}", "name=tutorial"),
            *("data.split=train1", "data.frames=8", "data.crop=56"),
            *("model.depth=10", "model.width=4"),
            *("train.batch=8", "train.iterations=6", "train.log_every=3"),
        ],
    )
    result = fastrot.train(config)
    print(f"{result.steps} steps, loss {result.loss:.2f}: {result.last}")

    # 5. The backbone, without its head, maps clips to vectors.
    backbone = fastrot.load_backbone(result.last)
    print(f"features of a batch of clips {tuple(backbone.embed_clips(clips.cpu()).shape)}")

    # 6. One vector per video of a store, averaged over its clips.
    found = fastrot.extract_features(result.last, store, split="test1", clips_per_video=2)
    print(f"features of a split {found.features.shape}, labels {found.labels.tolist()}")

    # All errors derive from FastrotError, and their messages say what to do.
    try:
        fastrot.Store.open(folder / "nowhere")
    except fastrot.FastrotError as error:
        print(f"an error: {error}")


if __name__ == "__main__":  # needed: preparing starts worker processes
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
