#!/usr/bin/env bash
# The figures that need an NVIDIA GPU: training and decoding side by side with PEFT and transformers, with profiles.
#
#   bash launch/gpu_benchmarks.sh
#
# It takes about half an hour and no flags. What is finished is not repeated. Environment variables:
#
# OUT       the folder that gets a JSON file and a log for each; gpu_benchmarks by default
# PYTHON    an interpreter with ipt_jax, jax[cuda12], torch, transformers and peft; python3 by default
set -euo pipefail
# shellcheck source=launch/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
OUT="${OUT:-gpu_benchmarks}"
PYTHON="${PYTHON:-python3}"
mkdir -p "$OUT"

figures() {
  local name="$1"
  shift
  if [ ! -e "$OUT/$name.json" ]; then
    "$PYTHON" -m "$@" --json="$OUT/$name.json" 2>&1 | tee "$OUT/$name.log"
  fi
}

for model in gpt2-xl opt-1.3b bloom-1b1; do
  figures "training-$model" benchmarks.training --case="$model" --case="$model-population" --rounds=10
  figures "training-$model-profile" benchmarks.training --case="$model" --profile
  figures "decoding-$model" benchmarks.decoding --case="$model" --case="$model-beam4" --rounds=2
  figures "decoding-$model-profile" benchmarks.decoding --case="$model" --profile
done
