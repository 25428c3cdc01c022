"""May this run go on from that checkpoint? Only where what it computes has not changed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastrot.checkpoint import load_checkpoint
from fastrot.config import Config, to_mapping
from pipelines.errors import FastrotError, UsageError

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
        "data.broken_share",
        "data.check",
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
        "train.timeout_s",
    ]
)
LENGTH = frozenset(["train.iterations", "train.epochs"])


def config_hash(config: Config) -> str:
    """Return the SHA-256 of a config's values, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(to_mapping(config), sort_keys=True).encode()).hexdigest()


def check_resumable(
    path: Path,
    values: Mapping[str, Any],
    config: Config,
    now: Mapping[str, Any],
    *,
    anyway: bool = False,
) -> list[str]:
    """Compare a checkpoint with the run that would go on from it; return what differs and matters.

    Args:
        path: the checkpoint's, for the message.
        values: what was loaded from it.
        config: the run's.
        now: ``videos`` (digest of the chosen videos), ``slots`` (micro-batches a step over all
            processes) and ``short_clips`` (see ``TrainingData``) of the run.
        anyway: allow differences.

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
    if now["short_clips"] and "short_clips" not in values:  # of a version in which they looped
        differing.append(
            "some videos are shorter than a clip: their clips jumped to the start then, and turn back at "
            "the end now"
        )
    if differing and not anyway:
        raise UsageError(
            f"{path} cannot be gone on from, because the run has changed ({'; '.join(differing)}): "
            "undo the change, start a new run with another name=..., or go on with the new values by "
            "--resume-anyway"
        )
    return differing


def newest_good(
    candidates: Sequence[Path],
) -> tuple[Path | None, dict[str, Any] | None, list[str]]:
    """Return the first checkpoint that is whole, what is in it, and a sentence about each one before it.

    Args:
        candidates: of one run, the newest first; none make the answer None.

    Raises:
        FastrotError: there are some, and none can be read.
    """
    errors = []
    for path in candidates:
        try:
            values = load_checkpoint(path)
        except FastrotError as error:
            errors.append(str(error))
            continue
        return path, values, [f"{error}; going on from {path} instead" for error in errors]
    if errors:
        raise FastrotError(
            f"no checkpoint of the run can be read: {'; '.join(errors)}. Remove its folder to begin again"
        )
    return None, None, []


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
