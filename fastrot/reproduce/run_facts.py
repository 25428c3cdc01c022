"""How a finished run was computed, from its own files."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastrot.reproduce.execute import FINISHED
from pipelines.errors import FastrotError


@dataclass(frozen=True)
class Settings:
    """What may affect a result but is not in the hash of a run, as resolved in the run."""

    world_size: int | None
    accumulate: int
    precision: str | None
    sync_bn: bool

    def plain(self) -> dict[str, Any]:
        """Return the settings by name."""
        return asdict(self)


def settings_of(folder: Path) -> Settings:
    """Return the settings of a finished run.

    Raises:
        FastrotError: A file is missing or damaged.
    """
    try:
        train = json.loads((folder / FINISHED).read_text())["config"]["train"]
        environment = json.loads((folder / "env.json").read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FastrotError(f"{folder} is not a finished run: {error}; train it again") from None
    return Settings(
        world_size=environment.get("world_size"),
        accumulate=train["accumulate"],
        precision=environment.get("precision"),
        sync_bn=train["sync_bn"],
    )
