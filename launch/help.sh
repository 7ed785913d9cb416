#!/usr/bin/env bash
# Sourced by every script of this folder before it does anything: --help or -h, unless behind --, prints the comment at
# the head of the script that was called, and ends.

LAUNCHER="$(cd "$(dirname "$0")" && pwd)/$(basename "$0")"

# The comment at the head of the script, which is its documentation.
help() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$LAUNCHER"
}

for argument; do
  case "$argument" in
    --) break ;;
    --help | -h)
      help
      exit 0
      ;;
  esac
done
unset argument
