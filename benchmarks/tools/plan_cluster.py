"""Nodes, hours and the first bottleneck of a cluster. Run: python -m benchmarks.tools.plan_cluster

It calculates them from rates. docs/scaling.md gives the source of each rate and shows the tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.tools.codec_table import default_costs, load_costs
from fastrot.models.flops import train_flops
from fastrot.report.grid import Grid
from pipelines.store.codecs import CODECS

ROTATIONS = 4
PARAMETERS = 33_063_172  # of the full pretext network
VIDEO_SECONDS = 10
SOURCE_FPS = 30
STORED_FRAMES = 160  # of each video: 16 per second


@dataclass(frozen=True)
class Rates:
    """What was measured of a codec on a CPU machine.

    Attributes:
        loaded_clips: Clips per second and core that the loader delivers (RGB, 16 frames).
        frame_bytes: The bytes of a stored frame.
        clip_bytes: The bytes read for a clip.
    """

    loaded_clips: float
    frame_bytes: float
    clip_bytes: float


def _measured(codec: str) -> Rates:
    costs = default_costs(load_costs(), codec)
    return Rates(1e3 / costs["cpu_ms"], 1e3 * costs["kb_per_frame"], 1e3 * costs["read_kb"])


# docs/measurements.md, "Codecs": a core loads a clip in its CPU time.
MEASURED = {codec: _measured(codec) for codec in CODECS}
PREPARED_FRAMES = 660.0
"""Source frames per second and core that prepare transcodes (docs/measurements.md, "Preparing")."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster. Its values are assumptions, not measurements: replace them.

    Attributes:
        gpus: The number of GPUs.
        tflops: The useful TFLOP/s that the training step reaches on one GPU.
        cores: The CPU cores that load clips.
        disk: The bytes per second of all disks together.
        disk_bytes: The capacity of all disks together.
        network: The bytes per second to other nodes, in each direction.
        shared: The bytes per second that each node gets from the shared file system, for stores that
            do not fit on the disks.
    """

    gpus: int = 8
    tflops: float = 102.0
    cores: int = 112
    disk: float = 25e9
    disk_bytes: float = 25e12
    network: float = 50e9
    shared: float = 5e9


@dataclass(frozen=True)
class Corpus:
    """Videos of 10 seconds, and the number of clips that pre-training uses from them."""

    name: str
    videos: float
    clips: float


# The paper's schedule: 104,000 iterations of 32 videos, 6.9 epochs of Kinetics.
KINETICS = Corpus("Kinetics", videos=480_000, clips=104_000 * 32)
MILLION_HOURS = Corpus("a million hours", videos=3.6e9 / VIDEO_SECONDS, clips=3.6e9 / VIDEO_SECONDS)


@dataclass(frozen=True)
class Plan:
    """The result for a number of nodes. Rates are clips per second before rotation, of all nodes.

    Attributes:
        limits: The rate that each resource allows, by resource.
        first: The resource that allows the lowest rate.
        hours: The hours of training.
        store_bytes: The bytes of the prepared store.
        local: Whether the store fits on the nodes' own disks.
        prepare_hours: The hours to transcode the corpus on all cores.
    """

    limits: dict[str, float]
    first: str
    hours: float
    store_bytes: float
    local: bool
    prepare_hours: float


def plan(corpus: Corpus, codec: str, nodes: int, node: Node, *, batch_per_gpu: int = 32) -> Plan:
    """Calculate a run.

    The store is divided among the nodes' disks. If it does not fit, it is read from the shared file
    system. Gradients are exchanged once per step while the backward pass runs, so they are a separate
    limit and add no time. A ring sends 2 (n - 1) / n of their bytes through each node.
    """
    rates = MEASURED[codec]
    store_bytes = corpus.videos * STORED_FRAMES * rates.frame_bytes
    local = store_bytes <= nodes * node.disk_bytes
    limits = {
        "GPUs": nodes * node.gpus * node.tflops * 1e12 / (ROTATIONS * train_flops()),
        "decode": nodes * node.cores * rates.loaded_clips,
        "disk": nodes * (node.disk if local else node.shared) / rates.clip_bytes,
    }
    if nodes > 1:
        exchanged = 4 * PARAMETERS * 2 * (nodes - 1) / nodes
        limits["network"] = nodes * node.gpus * batch_per_gpu * node.network / exchanged
    first = min(limits, key=lambda name: limits[name])
    source_frames = corpus.videos * VIDEO_SECONDS * SOURCE_FPS
    return Plan(
        limits=limits,
        first=first,
        hours=corpus.clips / limits[first] / 3600,
        store_bytes=store_bytes,
        local=local,
        prepare_hours=source_frames / (PREPARED_FRAMES * node.cores * nodes) / 3600,
    )


def nodes_for(corpus: Corpus, codec: str, node: Node, *, hours: float) -> int:
    """Return the fewest nodes that prepare the corpus and train on it within ``hours``.

    Raises:
        ValueError: No number of nodes up to 10,000 is enough.
    """
    for nodes in range(1, 10_001):
        found = plan(corpus, codec, nodes, node)
        if found.prepare_hours + found.hours <= hours:
            return nodes
    raise ValueError(
        f"{corpus.name} cannot be prepared and trained in {hours} hours with up to 10,000 nodes"
    )


CASES = [(KINETICS, 1), (KINETICS, 4), (MILLION_HOURS, 8), (MILLION_HOURS, 64)]
DEADLINES = [(KINETICS, 1), (KINETICS, 24), (MILLION_HOURS, 24), (MILLION_HOURS, 7 * 24)]


def rates_table(node: Node) -> Grid:
    """Return the rate that each resource allows, for every case and store."""
    names = ["GPUs", "decode", "disk", "network"]
    rows = [
        [*case, *(f"{found.limits[name]:,.0f}" if name in found.limits else "-" for name in names)]
        for case, found in _plans(node)
    ]
    return Grid("Clips a second, before rotation", ["corpus, nodes", "store", *names], rows)


def hours_table(node: Node) -> Grid:
    """Return the size, the first bottleneck and the hours, for every case and store."""
    header = [
        "corpus, nodes",
        "store",
        "size",
        "first bottleneck",
        "train, hours",
        "prepare, hours",
    ]
    rows = []
    for case, found in _plans(node):
        size = f"{found.store_bytes / 1e12:,.2f} TB{'' if found.local else ', shared'}"
        first = "shared storage" if found.first == "disk" and not found.local else found.first
        rows.append([*case, size, first, f"{found.hours:.2g}", f"{found.prepare_hours:.2g}"])
    return Grid("Hours", header, rows)


def _plans(node: Node) -> Iterator[tuple[list[str], Plan]]:
    for corpus, nodes in CASES:
        for codec in MEASURED:
            yield [f"{corpus.name}, {nodes}", codec], plan(corpus, codec, nodes, node)


def nodes_table(node: Node) -> Grid:
    """Return the nodes that each deadline needs, for preparing and training together."""
    rows = [
        [f"{corpus.name} in {hours} h"]
        + [f"{nodes_for(corpus, codec, node, hours=hours)}" for codec in MEASURED]
        for corpus, hours in DEADLINES
    ]
    return Grid("Nodes", ["deadline", *MEASURED], rows)


def main() -> None:
    """Print the tables for the assumed node."""
    for grid in (rates_table(Node()), hours_table(Node()), nodes_table(Node())):
        print(grid.to_markdown("##"))


if __name__ == "__main__":
    main()
