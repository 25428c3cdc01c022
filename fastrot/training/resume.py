"""May this run go on from that checkpoint? Only where what it computes has not changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastrot.config import Config, to_mapping
from pipelines.errors import UsageError

# What may differ between a run and its continuation, for it does not change what is computed (whose
# kernels do it changes the rounding, as another machine does). The store may have moved (its videos
# are compared instead), and micro-batches may be shared out otherwise (their number is compared). A
# run may be made longer where no schedule depends on its length.
FREE = frozenset(
    [
        "name",
        "out",
        "data.store",
        "data.hw_decoder_load",
        "data.threads",
        "data.prefetch",
        "eval.batch",
        "model.stem_channels",
        "optim.backend",
        "profile.steps",
        "profile.wait",
        "profile.warmup",
        "log.tensorboard",
        "train.accumulate",
        "train.affinity",
        "train.checkpoint_every",
        "train.compile",
        "train.eval_every",
        "train.keep",
        "train.log_every",
    ]
)
LENGTH = frozenset(["train.iterations", "train.epochs"])


def check_resumable(
    path: Path, values: Mapping[str, Any], config: Config, now: Mapping[str, Any]
) -> None:
    """Compare a checkpoint with the run that would go on from it.

    Args:
        path: the checkpoint's, for the message.
        values: what was loaded from it.
        config: the run's.
        now: ``videos`` (digest of the chosen videos) and ``slots`` (micro-batches a step over all
            processes) of the run.

    Raises:
        UsageError: something that matters differs; the message names every key.
    """
    free = FREE if config.optim.schedule == "onecycle" else FREE | LENGTH
    before, after = _flat(values["config"]), _flat(to_mapping(config))
    differing = [
        f"{key}: {before.get(key)!r} then, {after.get(key)!r} now"
        for key in sorted(before.keys() | after.keys())
        if key not in free and before.get(key) != after.get(key)
    ]
    if values["videos"] != now["videos"]:
        differing.append("the videos of data.split are others than then")
    if values["slots"] != now["slots"]:
        differing.append(
            f"processes x train.accumulate: {values['slots']} then, {now['slots']} now"
        )
    if differing:
        raise UsageError(
            f"{path} cannot be gone on from, because the run has changed ({'; '.join(differing)}): "
            "undo the change, or start a new run with another name=..."
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
