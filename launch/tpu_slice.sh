#!/usr/bin/env bash
# Sourced by tpu_vm.sh: makes, finds, reaches and deletes a Cloud TPU slice, by gcloud.
#
# The caller sets NAME, PLACE (the flags that say where), TYPE, VERSION, SPOT, POLL and SCRATCH, and sources common.sh.

# shellcheck disable=SC2034 # the caller reads EXISTS and FRESH

# shellcheck source=launch/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh"

EXISTS=""   # the slice was requested or found, and is paid for
FRESH=""    # it was made by the last call of create
PATIENCE=20 # questions without an answer before giving up

on_workers() { # WORKER COMMAND-LINE
  execute gcloud compute tpus tpu-vm ssh "$NAME" "${PLACE[@]}" --worker="$1" --ssh-flag=-oServerAliveInterval=30 \
    --command="cd ipt_jax && $2"
}

copy_to_workers() { # FILE NAME-THERE
  execute gcloud compute tpus tpu-vm scp "$1" "$NAME:$2" "${PLACE[@]}" --worker=all
}

copy_from_worker_0() { # NAME-THERE FILE
  execute gcloud compute tpus tpu-vm scp "$NAME:$1" "$2" "${PLACE[@]}" --worker=0
}

# What Google says of the slice: state_of queued-resources|tpu-vm ASSUMED. ABSENT, and UNKNOWN where it cannot be asked.
state_of() {
  local command=(gcloud compute tpus "$1" describe "$NAME" "${PLACE[@]}") answer
  case "$1" in
    tpu-vm) command+=("--format=value(state)") ;;
    queued-resources) command+=("--format=value(state.state)") ;;
  esac
  if answer="$(ask "$2" "${command[@]}" 2>"$SCRATCH/stderr")"; then
    echo "$answer"
  elif grep -qi 'not.found' "$SCRATCH/stderr"; then
    echo ABSENT
  else
    cat "$SCRATCH/stderr" >&2
    echo UNKNOWN
  fi
}

create() {
  local state unanswered=0
  FRESH=""
  state="$(state_of queued-resources ABSENT)"
  case "$state" in
    SUSPENDED | FAILED) # what is left of an earlier slice of this name
      delete || return 1
      state=ABSENT
      ;;
  esac
  if [ "$state" = ABSENT ]; then
    FRESH=yes
    if ! execute gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" "${PLACE[@]}" \
      --accelerator-type="$TYPE" --runtime-version="$VERSION" ${SPOT:+--spot}; then
      [ "$(state_of queued-resources ABSENT)" = ABSENT ] || EXISTS=yes
      return 1
    fi
    state="$(state_of queued-resources ACTIVE)"
  fi
  EXISTS=yes
  until [ "$state" = ACTIVE ]; do
    case "$state" in
      FAILED | SUSPENDING | SUSPENDED | ABSENT)
        say "the request for $NAME is $state"
        return 1
        ;;
      UNKNOWN)
        unanswered=$((unanswered + 1))
        [ "$unanswered" -lt "$PATIENCE" ] || return 1
        ;;
      *) unanswered=0 ;;
    esac
    say "the request for $NAME is $state; waiting"
    sleep "$POLL"
    state="$(state_of queued-resources ACTIVE)"
  done
}

# Whether Google took the slice away. While it is on its way from one state to another, waits.
gone() {
  local state i
  for ((i = 0; i < PATIENCE; i++)); do
    state="$(state_of tpu-vm READY)"
    case "$state" in
      PREEMPTED | TERMINATED | ABSENT) return 0 ;;
      READY | UNKNOWN) break ;;
    esac
    say "$NAME is $state; waiting"
    sleep "$POLL"
  done
  case "$(state_of queued-resources ACTIVE)" in
    SUSPENDING | SUSPENDED | ABSENT) return 0 ;;
  esac
  return 1
}

delete() {
  execute gcloud compute tpus queued-resources delete "$NAME" "${PLACE[@]}" --force --quiet && EXISTS=""
}
