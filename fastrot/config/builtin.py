"""The configs that come with fastrot, in a checkout or installed."""

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


def resolve(path: Path) -> Path:
    """Return the file that ``path`` means: one of the user's own, else one that comes with fastrot.

    ``configs/pretrain/kinetics_rgb_16.yaml`` and ``pretrain/kinetics_rgb_16.yaml`` mean the same one, from
    any folder. What exists nowhere is returned as it is.
    """
    if path.exists() or path.is_absolute():
        return path
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    own = ROOT.joinpath(*parts)
    return own if own.is_file() else path
