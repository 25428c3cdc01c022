"""Acceptance test of a GPU: python -m benchmarks.acceptance [--stage 1|2] [--only PART] [--out DIR]

It measures the training step, the rotation op, the loader and the stem's forms for a GPU against their limits
and goals, runs the tests marked gpu, and projects the paper's pre-training from the measured rates. Stage 1
needs no DALI. Every figure is in rows.jsonl as soon as it is measured. acceptance.json and the readable
acceptance.txt are made from these rows; after a kill, by --report. Without a GPU every part reports "no GPU".
"""

import sys
from pathlib import Path


def main() -> int:
    """Run it from any folder, installed or not."""
    # The checkout: not this folder, whose modules are not top-level ones, nor the working folder.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from benchmarks.acceptance import command

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
