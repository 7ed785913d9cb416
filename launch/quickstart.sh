#!/usr/bin/env bash
# Makes .venv, installs, and runs ICL, PT and IPT with SmolLM2-135M on the synthetic sample.
#
#   bash launch/quickstart.sh [FLAG …]
#
# The results are in runs/quickstart; stopped at any moment, the same command goes on. FLAG goes to ipt_jax.main, such as
# --config.training.steps=100 or --plan; `.venv/bin/python -m ipt_jax.main --help` has them all. PYTHON names another
# interpreter than the first on the PATH that is 3.11 or newer.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
make_environment ""
# Large pages: a step on a CPU is up to a quarter faster, see docs/training.md.
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
exec .venv/bin/python -m ipt_jax.main --config=quickstart --workdir=runs/quickstart "$@"
