#!/usr/bin/env bash
# Keeps one process on a host that tpu_vm.sh or gpu_hosts.sh reaches over ssh; it outlives the connection.
#
#   bash launch/on_host.sh install EXTRA            makes .venv with the extra tpu or cuda
#   bash launch/on_host.sh start NAME COMMAND…      starts the command; nothing if it is running
#   bash launch/on_host.sh watch NAME [SECONDS]     prints what it has written since the last watch until it ends, and
#                                                   exits with its status; with 0 if it still runs after SECONDS
#   bash launch/on_host.sh status NAME              "running", "finished STATUS", or "absent": never started, or lost
#                                                   with its host
#   bash launch/on_host.sh stop NAME                SIGTERM, at which the program saves; SIGKILL after two minutes
#
# PYTHON names the interpreter that install uses; without one that is 3.11 or newer it gets one with uv.
set -euo pipefail
# shellcheck source=launch/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh" "${@:1:2}" # a COMMAND can have a --help of its own
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ACTION="${1:-}" NAME="${2:-}"
# Not in the workdir: that can be on a disk that several hosts share, and come from a host that is no more.
STATE="${TMPDIR:-/tmp}/ipt_jax-$(id -u)/$NAME"

# A Python for hosts whose own is too old, as on Cloud TPU's images of Ubuntu 22.04. Needs no root.
newer_python() {
  python3 -m pip install --quiet --user uv >&2
  python3 -m uv python install --quiet 3.12 >&2
  python3 -m uv python find 3.12
}

install() {
  # shellcheck source=launch/environment.sh
  source launch/environment.sh
  if ! suitable_python >/dev/null 2>&1; then
    PYTHON="$(newer_python)"
    export PYTHON
  fi
  make_environment "$NAME"
}

status() {
  if [ -e "$STATE/status" ]; then
    echo "finished $(cat "$STATE/status")"
  elif [ -e "$STATE/pid" ] && kill -0 -- "-$(cat "$STATE/pid")" 2>/dev/null; then
    echo "running"
  else
    echo "absent"
  fi
}

start() {
  if [ "$(status)" = running ]; then
    echo "on_host.sh: $NAME is already running" >&2
    return
  fi
  rm -rf "$STATE"
  mkdir -p "$STATE"
  # A session of its own is not ended with the connection, and can be signalled as a whole. The shell in it must survive
  # that signal to note how the command ended, and with a handler, unlike an ignored signal, the command still gets it.
  # shellcheck disable=SC2016
  setsid bash -c 'trap : TERM
    status=0
    "${@:2}" || status=$?
    echo "$status" >"$1/status.part" && mv "$1/status.part" "$1/status"
  ' on_host "$STATE" "$@" >"$STATE/log" 2>&1 </dev/null &
  echo "$!" >"$STATE/pid"
}

watch() {
  local state size shown end="$((SECONDS + ${1:-1000000000}))"
  shown="$(cat "$STATE/shown" 2>/dev/null || echo 0)"
  while true; do
    state="$(status)" # before the log is read, so that no last line is missed
    size="$(wc -c <"$STATE/log" 2>/dev/null || echo 0)"
    if [ "$size" -gt "$shown" ]; then
      tail -c "+$((shown + 1))" "$STATE/log" | head -c "$((size - shown))"
      shown="$size"
      echo "$shown" >"$STATE/shown"
    fi
    case "$state" in
      finished*) return "${state#finished }" ;;
      absent) return 75 ;; # lost with its host, not by a fault of its own: to be started again
    esac
    if [ "$SECONDS" -ge "$end" ]; then
      return 0
    fi
    sleep 0.2
  done
}

stop() {
  local process end="$((SECONDS + 120))"
  if [ "$(status)" != running ]; then
    return
  fi
  process="$(cat "$STATE/pid")"
  kill -TERM -- "-$process" 2>/dev/null || true
  while [ "$(status)" = running ]; do
    if [ "$SECONDS" -ge "$end" ]; then
      kill -KILL -- "-$process" 2>/dev/null || true
      echo 137 >"$STATE/status"
    fi
    sleep 0.2
  done
}

case "$ACTION" in
  install | status | stop) "$ACTION" ;;
  start | watch) "$ACTION" "${@:3}" ;;
  *)
    echo "error: '$ACTION' is none of install, start, watch, status, stop (bash launch/on_host.sh --help)" >&2
    exit 2
    ;;
esac
