"""The built-in configs, in a checkout or an installation."""

import difflib
from pathlib import Path

from pipelines.errors import UsageError

ROOT = Path(__file__).resolve().parents[1] / "configs"
"""The folder of configs: inside the package when installed, a link to ``configs/`` in a checkout."""


def find_config(name: str) -> Path:
    """Return the path of a built-in config such as ``demo/pretrain.yaml``.

    Raises:
        UsageError: There is no config of this name.
    """
    path = ROOT / name
    if not path.is_file():
        raise UsageError(f"config {ROOT / name} does not exist")
    return path


def resolve(path: Path, *, beside: Path | None = None) -> Path:
    """Resolve ``path`` to one of the user's files or, if there is none, to a built-in config.

    ``configs/pretrain/kinetics_rgb_16.yaml`` and ``pretrain/kinetics_rgb_16.yaml`` both refer to the same
    built-in config, from any working folder. A path that does not exist is returned unchanged.

    Args:
        path: The path given by the user.
        beside: Folder to which a relative path of the user's is relative; None is the working folder.
    """
    own = path if beside is None else beside / path
    if own.exists() or path.is_absolute():
        return own
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    shipped = ROOT.joinpath(*parts)
    return shipped if shipped.is_file() else own


def built_in() -> dict[str, str]:
    """Return the first line of every built-in config, by its name such as ``demo/pretrain.yaml``."""
    files = {path.relative_to(ROOT).as_posix(): path for path in ROOT.glob("*/*.yaml")}
    return {name: files[name].read_text().partition("\n")[0].lstrip("# ") for name in sorted(files)}


def suggestion(path: Path) -> str:
    """Return a hint for the name of a missing file: the closest built-in config, or how to list them."""
    stems = {Path(name).stem: name for name in built_in()}
    nearest = difflib.get_close_matches(path.stem, stems, n=1, cutoff=0.7)
    if nearest:
        return f"; did you mean the built-in config {stems[nearest[0]]}?"
    return ": `fastrot configs` lists the built-in ones"
