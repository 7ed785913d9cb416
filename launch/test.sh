#!/usr/bin/env bash
# Makes .venv, installs with the test extra, and passes the tests.
#
#   bash launch/test.sh [ARGUMENT …]
#
# ARGUMENT goes to pytest, such as -m slow or tests/rows/test_layout.py; `.venv/bin/python -m pytest --help` has them
# all. JOBS is the number of processes, 2 by default. PYTHON names another interpreter than the first on the PATH that is
# 3.11 or newer.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
make_environment test
# A worker keeps its place in the files, where tests share what one of them has made, until the other has nothing left.
exec .venv/bin/python -m pytest -n "${JOBS:-2}" --dist=worksteal "$@"
