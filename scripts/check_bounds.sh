#!/usr/bin/env bash
# Test the lower bounds in setup.cfg and pyproject.toml. Creates an environment with exactly those versions
# (for torch, which has many builds, the version pinned in constraints.txt), then prepares videos in the codecs
# raw, mjpeg and vp9, trains a few steps and extracts features. Needs network access and takes some minutes.
#   scripts/check_bounds.sh [EXTRA=cuda12] [PACKAGE==VERSION ...]      versions to test instead of the bounds
set -euo pipefail
unset PYTHONPATH # hide the checkout from the environment
cd "$(dirname "$0")/.."
extra="${1:-cuda12}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 - "$extra" "${@:2}" > "$work/lowest.txt" << 'PYTHON'
import configparser
import sys
import tomllib
from pathlib import Path

extra, *instead = sys.argv[1:]
setup = configparser.ConfigParser()
setup.read("setup.cfg")
lines = setup["options"]["install_requires"].splitlines()
lines += setup["options.extras_require"][extra].splitlines()
lines += tomllib.loads(Path("pyproject.toml").read_text())["build-system"]["requires"]
lowest = {}
for line in filter(None, map(str.strip, lines)):
    name, bound, version = line.partition(">=")
    if not bound:
        sys.exit(f"setup.cfg or pyproject.toml: {line} has no lower bound to test")
    lowest[name] = line.replace(">=", "==")
pins = Path("constraints.txt").read_text().splitlines()
lowest["torch"] = next(pin for pin in pins if pin.startswith("torch=="))
lowest |= {each.partition("==")[0]: each for each in instead}
print("\n".join(lowest.values()))
PYTHON
cat "$work/lowest.txt"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet -r "$work/lowest.txt"
# Build from a copy, so that no build files are left in the checkout.
mkdir "$work/source"
cp -r fastrot pipelines benchmarks configs setup.cfg pyproject.toml README.md LICENSE "$work/source"
"$work/venv/bin/pip" install --quiet --no-deps --no-build-isolation "$work/source"
cd "$work/venv"
bin/python - << 'PYTHON'
from pathlib import Path

from fastrot.synthetic.dataset import DemoSpec, make_dataset

make_dataset(Path("set"), DemoSpec(unlabelled=0, groups=3, clips_per_group=1, frames=32))
PYTHON
for codec in raw mjpeg vp9; do
    bin/fastrot prepare set/labelled --out "store-$codec" --layout ucf101 --codec "$codec"
    bin/fastrot store verify "store-$codec"
    bin/fastrot pretrain demo/pretrain.yaml "name=$codec" "data.store=store-$codec" \
        model.width=2 train.batch=8 train.iterations=3 train.epochs=null
done
bin/fastrot features runs/mjpeg/checkpoints/last.pt --store store-mjpeg --out features.npz --clips 1
bin/fastrot report runs/mjpeg
echo "the lower bounds work"
