"""Acceptance test of a GPU: python -m benchmarks.acceptance [--budget 480] [--out DIR]

It runs the tests marked gpu, measures the rotation op, the training step and the loader against their limits
and goals, and projects the paper's pre-training from the measured rates. acceptance.json and the
readable acceptance.txt contain the results, and what was skipped and why.
Without a GPU every part reports "no GPU".
"""

import sys
from pathlib import Path


def main() -> int:
    """Run it from any folder, installed or not."""
    # The checkout: not this folder, whose modules are not top-level ones, nor the working folder.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from benchmarks.acceptance import parts as acceptance

    return acceptance.main()


if __name__ == "__main__":
    sys.exit(main())
