"""A small data set, and the store that is made of it again and again."""

import numpy as np

from pipelines.layouts import read_layout
from pipelines.prepare.preparation import prepare
from pipelines.store.reading import Settings
from tests.helpers import moving_frames, write_video

SIZE = 24


def settings(classes=()):
    return Settings("raw", SIZE, None, "folder", tuple(classes))


def run(source, out, **options):
    listing = read_layout(source, "folder")
    return prepare(listing, out, settings(listing.classes), **options)


def frames_of(store, name):
    (video,) = [i for i in range(len(store)) if store.name(i) == name]
    shard = np.load(store.shard_path(video))
    return shard[store.index[video] : store.index[video] + store.frames[video]]


def film(path, seed, count=4):
    return write_video(path, moving_frames(count, 32, 32, seed))
