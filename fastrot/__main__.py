"""Run the command line as ``python -m fastrot``."""

import sys

from fastrot.cli import main

if __name__ == "__main__":
    sys.exit(main())
