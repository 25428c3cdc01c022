#!/usr/bin/env bash
# Test the wheel on its own. Builds it, installs it into an empty environment, and runs the demo on a small set
# from a folder that has other packages named `pipelines` and `benchmarks`. Needs network access and takes some
# minutes.
#   scripts/check_wheel.sh [CUDA=cuda12]      the extra with the DALI build to install
set -euo pipefail
unset PYTHONPATH # hide the checkout from the environment
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
mkdir pipelines benchmarks
echo 'raise ImportError("imported the package of the user")' | tee pipelines/__init__.py > benchmarks/__init__.py
"$work/venv/bin/fastrot" --version
"$work/venv/bin/fastrot" doctor
"$work/venv/bin/fastrot" pretrain pretrain/kinetics_rgb_16.yaml --print-config > /dev/null
"$work/venv/bin/python" -P - << 'PYTHON'
from pathlib import Path

from fastrot.synthetic.dataset import DemoSpec, make_dataset

make_dataset(Path("set"), DemoSpec(unlabelled=0, groups=3, clips_per_group=2, frames=32))
PYTHON
"$work/venv/bin/fastrot" demo --source set/labelled --layout ucf101 --seeds 1 \
    --pretrain model.width=2 --pretrain train.batch=8 \
    --finetune model.width=2 --finetune train.batch=8 --finetune train.epochs=1 --finetune data.shots=1
# The three other ways to start: with -m, in prepare's spawned workers, and with torchrun.
"$work/venv/bin/python" -m fastrot --version
"$work/venv/bin/python" -m fastrot prepare set/labelled --layout ucf101 --out store
"$work/venv/bin/torchrun" --standalone --nproc-per-node 2 -m fastrot pretrain demo/pretrain.yaml \
    data.store=store model.width=2 train.batch=8 train.iterations=2 train.epochs=null
echo "the wheel works"
