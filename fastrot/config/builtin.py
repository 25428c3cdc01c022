"""The configs that come with fastrot, in a checkout or installed."""

import difflib
from pathlib import Path

from pipelines.errors import UsageError

ROOT = Path(__file__).resolve().parents[1] / "configs"
"""The folder of configs: in an installation the package's own, in a checkout a link to ``configs/``."""


def find_config(name: str) -> Path:
    """Return the file of a config such as ``demo/pretrain.yaml``.

    Raises:
        UsageError: there is none of this name.
    """
    path = ROOT / name
    if not path.is_file():
        raise UsageError(f"no config {name} in {ROOT}")
    return path


def resolve(path: Path, *, beside: Path | None = None) -> Path:
    """Return the file that ``path`` means: one of the user's own, else one that comes with fastrot.

    ``configs/pretrain/kinetics_rgb_16.yaml`` and ``pretrain/kinetics_rgb_16.yaml`` mean the same one, from
    any folder. What exists nowhere is returned as it is.

    Args:
        path: what was given.
        beside: the folder in which a relative path of one's own is looked for; None is the working folder.
    """
    own = path if beside is None else beside / path
    if own.exists() or path.is_absolute():
        return own
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    shipped = ROOT.joinpath(*parts)
    return shipped if shipped.is_file() else own


def suggestion(path: Path) -> str:
    """Return a sentence that names the shipped config nearest to a name that exists nowhere; "" for none."""
    shipped = {each.stem: each.relative_to(ROOT).as_posix() for each in ROOT.rglob("*.yaml")}
    nearest = difflib.get_close_matches(path.stem, shipped, n=1, cutoff=0.7)
    return f"; did you mean {shipped[nearest[0]]}, which comes with fastrot?" if nearest else ""
