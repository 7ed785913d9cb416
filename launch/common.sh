#!/usr/bin/env bash
# Sourced by tpu_vm.sh, slurm.sh and gpu_hosts.sh: their command lines, quoting, and dry runs.

# shellcheck source=launch/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh"

if [ "${BASH_VERSINFO[0]}${BASH_VERSINFO[1]}" -lt 44 ]; then
  echo "error: bash $BASH_VERSION is too old; 4.4 or newer is needed (on macOS: brew install bash)" >&2
  exit 2
fi

shopt -s inherit_errexit # what fails in $(…) fails

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
SELF="launch/$(basename "$0")"
DRY_RUN="" CONFIG="" WORKDIR=""
MAIN_FLAGS=()
exec 3>&1 # where a dry run prints its commands, also out of $(…)

fail() {
  echo "error: $*" >&2
  exit 2
}

say() {
  echo "$SELF: $*" >&2
}

# The words as one line that any POSIX shell, also one at the far end of ssh, reads as the same words.
quoted() {
  local word line="" quote="'\\''"
  for word; do
    case "$word" in
      "" | *[!A-Za-z0-9_@%+=:,./-]*) word="'${word//\'/"$quote"}'" ;;
    esac
    line+="${line:+ }$word"
  done
  printf '%s' "$line"
}

# Carries a command out, or in a dry run prints it.
execute() {
  if [ -n "$DRY_RUN" ]; then
    printf '%s\n' "$(quoted "$@")" >&3
  else
    say "$(quoted "$@")"
    "$@"
  fi
}

# ask ASSUMED COMMAND…   prints what the command prints; in a dry run prints what it is assumed to print
ask() {
  if [ -n "$DRY_RUN" ]; then
    printf '%s\n' "$(quoted "${@:2}")" >&3
    printf '%s\n' "$1"
  else
    "${@:2}"
  fi
}

# Hands each flag before "--" to the script's own set_flag; what follows belongs to ipt_jax.main.
parse() {
  while [ "$#" -gt 0 ]; do
    case "$1" in
      --)
        MAIN_FLAGS=("${@:2}")
        return
        ;;
      --dry-run) DRY_RUN=yes ;;
      *) set_flag "$1" || unknown_flag "$1" ;;
    esac
    shift
  done
}

unknown_flag() {
  local name="${1%%=*}" help known
  help="$(help)"
  case "$name" in
    --config* | --workdir) fail "$1 is for ipt_jax.main; write it after --, as in: bash $SELF … -- $1" ;;
  esac
  if grep -qE -- "^$name=[A-Z]" <<<"$help"; then
    fail "$name needs a value: $(grep -oE -- "^$name=[A-Z_]*" <<<"$help")"
  fi
  known="$(grep -oE -- '^--[a-z-]+' <<<"$help")"
  fail "$1 is no flag of $SELF, which has ${known//$'\n'/, } (bash $SELF --help)"
}

# whole_number FLAG VALUE
whole_number() {
  case "$2" in
    "" | *[!0-9]*) fail "$1=$2 is no whole number; write for example $1=8" ;;
  esac
}

# check_main_flags PLATFORM   finds CONFIG and WORKDIR among MAIN_FLAGS, and refuses what the launcher adds itself
check_main_flags() {
  local flag platform="--config.execution.platform=$1"
  for flag in "${MAIN_FLAGS[@]}"; do
    case "$flag" in
      --config=?*) CONFIG="${flag#*=}" ;;
      --workdir=?*) WORKDIR="${flag#*=}" ;;
      --config.execution.platform=*) platform="" ;;
      --config | --workdir) fail "write $flag=VALUE, with the equals sign" ;;
      --distributed* | --coordinator_address* | --num_processes* | --process_id* | --only* | --list* | --plan*)
        fail "leave out $flag: $SELF says itself how ipt_jax.main is to run"
        ;;
    esac
  done
  if [ -z "$CONFIG" ] || [ -z "$WORKDIR" ]; then
    fail "--config and --workdir are needed: bash $SELF … -- --config=dart --workdir=runs/dart"
  fi
  MAIN_FLAGS+=(${platform:+"$platform"}) # without the accelerator the program ends with an error and not on the CPU
}

# check_workdir_is_inside ALTERNATIVE   what is copied between machines has the same place in the checkout of each
check_workdir_is_inside() {
  case "/$WORKDIR/" in
    //* | */../*) fail "--workdir=$WORKDIR is outside of the checkout; write a path such as runs/dart, or $1" ;;
  esac
}

# What is committed is what runs elsewhere.
check_commit() {
  git rev-parse --quiet --verify HEAD >/dev/null || fail "$ROOT has no commit; git archive copies the code from one"
  if ! git diff --quiet HEAD --; then
    say "changes that are not committed are not copied"
  fi
}
