#!/usr/bin/env bash
# Does the wheel work where there is nothing else? Builds it, installs it into an empty environment, and
# runs the demo on a small set from outside the checkout. Needs the network, and some minutes.
#   scripts/check_wheel.sh [CUDA=cuda12]      the extra with DALI's build
set -euo pipefail
unset PYTHONPATH # an empty environment sees nothing of the checkout
cd "$(dirname "$0")/.."
extra="${1:-cuda12}"
constraints="$PWD/constraints.txt"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m build --outdir "$work/dist" .
python3 -m venv "$work/venv"
wheel="$(echo "$work"/dist/fastrot-*.whl)"
"$work/venv/bin/pip" install --quiet -c "$constraints" "${wheel}[${extra}]"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
"$work/venv/bin/fastrot" --version
"$work/venv/bin/fastrot" doctor
"$work/venv/bin/fastrot" pretrain pretrain/kinetics_rgb_16.yaml --print-config > /dev/null
"$work/venv/bin/python" - << 'PYTHON'
from pathlib import Path

from fastrot.demo.dataset import DemoSpec, make_dataset

make_dataset(Path("set"), DemoSpec(unlabelled=0, groups=3, clips_per_group=2, frames=32))
PYTHON
"$work/venv/bin/fastrot" demo --source set/labelled --layout ucf101 --seeds 1 \
    --pretrain model.width=2 --pretrain train.batch=8 \
    --finetune model.width=2 --finetune train.batch=8 --finetune train.epochs=1 --finetune data.shots=1
echo "the wheel works"
