"""Run the command line as ``python -m fastrot``."""

import sys
from pathlib import Path


def leave_out_working_folder() -> None:
    """Remove the working folder from the module search path, unless fastrot was loaded from it.

    ``python -m`` puts the working folder first in ``sys.path``, so a user's own package named ``pipelines``
    or ``benchmarks`` would be imported instead of ours. Processes that multiprocessing starts
    inherit the path.
    """
    home = Path(__file__).resolve().parents[1]
    # In safe mode (-P) Python does not add the working folder.
    if not sys.flags.safe_path and Path(sys.path[0]).resolve() != home:
        del sys.path[0]


if __name__ == "__main__":
    leave_out_working_folder()

    from fastrot.cli import main

    sys.exit(main())
