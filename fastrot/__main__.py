"""Run the command line as ``python -m fastrot``."""

import sys
from pathlib import Path


def leave_out_working_folder() -> None:
    """Stop looking for modules in the working folder, unless fastrot was loaded from it.

    ``python -m`` puts it first in ``sys.path``, so a user's own package ``pipelines`` or ``benchmarks``
    would be imported instead of ours. Processes that multiprocessing starts inherit the path.
    """
    home = Path(__file__).resolve().parents[1]
    # In safe mode (-P) Python leaves the working folder out itself.
    if not sys.flags.safe_path and Path(sys.path[0]).resolve() != home:
        del sys.path[0]


if __name__ == "__main__":
    leave_out_working_folder()

    from fastrot.cli import main

    sys.exit(main())
