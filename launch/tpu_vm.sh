#!/usr/bin/env bash
# Carries out an experiment on a Cloud TPU slice: makes it, installs, runs, copies the results here, deletes it.
#
#   bash launch/tpu_vm.sh all --name=NAME --zone=ZONE [flags] -- --config=FILE --workdir=FOLDER [flags of ipt_jax.main]
#
# all          create, install, send, start, watch, fetch and delete. A preempted slice is made again and the experiment
#              goes on from what was last copied here; exit status 75 of the program starts it again. Interrupted, or
#              started a second time, it finds the slice and goes on watching.
# Or one step of it, with the same flags:
# create       requests the slice (a queued resource) and waits for it
# install      copies the commit HEAD to all workers and makes .venv with jax[tpu] there
# send         copies the workdir, if it exists here, and the --upload paths to all workers
# start        starts ipt_jax.main --distributed on all workers; it outlives the connection
# watch        prints what it writes and copies the results here meanwhile, until it ends
# fetch        copies the workdir of worker 0, which writes the results, here
# stop         SIGTERM: the program saves and ends
# delete       deletes the slice with everything on it
#
# --name=NAME          the slice's name
# --zone=ZONE          such as us-west4-a
# --project=PROJECT    by default gcloud's own
# --type=TYPE          accelerator type; v5litepod-8, which is one host with eight v5e chips, by default
# --version=VERSION    the image; v2-alpha-tpuv5-lite by default, which is v5e's. v6e: v2-alpha-tpuv6e, v5p:
#                      v2-alpha-tpuv5, v4 and older: tpu-ubuntu2204-base
# --spot               a cheaper slice that can be taken away at any time
# --upload=PATH        a file or folder of this checkout that is not in git, such as data; can be given several times
# --setup=COMMAND      a shell command for all workers after installation, such as one that mounts a disk
# --bucket=GS_PATH     keep the workdir in gs://BUCKET/FOLDER instead of here while the experiment runs
# --mounted            the workdir is an absolute path on a disk that all workers have mounted; nothing is copied
# --fetch-every=SECONDS  how often the workdir is copied while the experiment runs; 600 by default
# --restarts=N         how often to start again, after preemption or exit status 75, before giving up; 100 by default
# --keep               do not delete the slice when the experiment is done
# --delete-on-failure  delete it also when the experiment fails
# --poll=SECONDS       how long to wait between questions to Google; 30 by default
# --dry-run            print every command, carry out none
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"
# shellcheck source=launch/tpu_slice.sh
source launch/tpu_slice.sh

NAME="" ZONE="" PROJECT="" TYPE=v5litepod-8 VERSION=v2-alpha-tpuv5-lite SPOT="" SETUP="" BUCKET="" MOUNTED=""
FETCH_EVERY=600 RESTARTS=100 KEEP="" DELETE_ON_FAILURE="" POLL=30
UPLOADS=()
READY=""   # the code, the environment and the data are on the slice
VERDICT="" # how the program ended: finished, restart, failed; or gone, with its slice; or stuck: a step did not work

set_flag() {
  local value="${1#*=}"
  case "$1" in
    --name=?*) NAME="$value" ;;
    --zone=?*) ZONE="$value" ;;
    --project=?*) PROJECT="$value" ;;
    --type=?*) TYPE="$value" ;;
    --version=?*) VERSION="$value" ;;
    --spot) SPOT=yes ;;
    --upload=?*) UPLOADS+=("$value") ;;
    --setup=?*) SETUP="$value" ;;
    --bucket=?*) BUCKET="${value%/}" ;;
    --mounted) MOUNTED=yes ;;
    --fetch-every=?*) FETCH_EVERY="$value" ;;
    --restarts=?*) RESTARTS="$value" ;;
    --keep) KEEP=yes ;;
    --delete-on-failure) DELETE_ON_FAILURE=yes ;;
    --poll=?*) POLL="$value" ;;
    *) return 1 ;;
  esac
}

check() {
  local path
  if [ -z "$NAME" ] || [ -z "$ZONE" ]; then
    fail "--name and --zone are needed: bash $SELF $STEP --name=ipt-jax --zone=us-west4-a …"
  fi
  whole_number --fetch-every "$FETCH_EVERY"
  whole_number --restarts "$RESTARTS"
  whole_number --poll "$POLL"
  case "$BUCKET" in
    "" | gs://?*) ;;
    *) fail "--bucket=$BUCKET is no bucket; write --bucket=gs://BUCKET/FOLDER" ;;
  esac
  case "$STEP" in
    create | delete) return ;;
  esac
  check_main_flags tpu
  case "$MOUNTED$WORKDIR" in
    yes/*) ;;
    yes*) fail "--mounted needs the workdir's absolute path on that disk, not --workdir=$WORKDIR" ;;
    *) check_workdir_is_inside "a path on a mounted disk with --mounted" ;;
  esac
  for path in "${UPLOADS[@]}"; do
    [ -e "$path" ] || fail "--upload=$path does not exist below $ROOT"
  done
}

install() {
  execute git archive --format=tar.gz --output="$SCRATCH/checkout.tar.gz" HEAD &&
    copy_to_workers "$SCRATCH/checkout.tar.gz" ipt_jax_checkout.tar.gz &&
    # The first command there: the folder that all others change to does not exist yet.
    execute gcloud compute tpus tpu-vm ssh "$NAME" "${PLACE[@]}" --worker=all \
      --command="mkdir -p ipt_jax && tar -xzf ipt_jax_checkout.tar.gz -C ipt_jax" &&
    on_workers all "bash launch/on_host.sh install tpu" &&
    { [ -z "$SETUP" ] || on_workers all "$SETUP"; }
}

send() {
  local paths=("${UPLOADS[@]}") workdir bucket
  workdir="$(quoted "$WORKDIR")" bucket="$(quoted "$BUCKET")"
  if [ -n "$BUCKET" ]; then
    on_workers all "mkdir -p $workdir && if gcloud storage ls $bucket >/dev/null 2>&1; then \
gcloud storage rsync --recursive --skip-if-dest-has-newer-mtime $bucket $workdir; fi" || return 1
  elif [ -z "$MOUNTED" ] && [ -e "$WORKDIR" ]; then
    paths+=("$WORKDIR")
  fi
  if [ "${#paths[@]}" -gt 0 ]; then
    execute tar -czf "$SCRATCH/paths.tar.gz" -- "${paths[@]}" &&
      copy_to_workers "$SCRATCH/paths.tar.gz" ipt_jax_paths.tar.gz &&
      # A slice that is found rather than made may have got further than what was last copied here.
      on_workers all "tar --keep-newer-files --warning=no-ignore-newer -xzf ../ipt_jax_paths.tar.gz"
  fi
}

start() {
  local command=(.venv/bin/python -m ipt_jax.main "${MAIN_FLAGS[@]}" --distributed)
  on_workers all "bash launch/on_host.sh start $JOB $(quoted "${command[@]}")"
}

stop() {
  on_workers all "bash launch/on_host.sh stop $JOB"
}

statuses() { # a line per worker; ASSUMED in a dry run
  ask "$1" gcloud compute tpus tpu-vm ssh "$NAME" "${PLACE[@]}" --worker=all \
    --command="cd ipt_jax && bash launch/on_host.sh status $JOB"
}

# Sets VERDICT. It comes from what each worker says of its process: gcloud's own exit status mixes that of the program
# with that of a lost connection, and gives one for all workers.
watch() {
  local rows unanswered=0
  while true; do
    on_workers all "bash launch/on_host.sh watch $JOB $FETCH_EVERY" || true
    rows="$(statuses "finished 0")" || rows=""
    if grep -qE '^(finished 75|absent)$' <<<"$rows"; then
      VERDICT=restart
    elif grep -qE '^finished [1-9]' <<<"$rows"; then
      VERDICT=failed
    elif grep -q '^running$' <<<"$rows"; then
      unanswered=0
      keep_results || say "the results could not be copied this time"
      continue
    elif grep -q '^finished 0$' <<<"$rows"; then
      VERDICT=finished
    elif gone; then
      VERDICT=gone
    else
      unanswered=$((unanswered + 1))
      if [ "$unanswered" -lt "$PATIENCE" ]; then
        say "no answer from $NAME; asking again in $POLL s"
        sleep "$POLL"
        continue
      fi
      VERDICT=stuck
    fi
    if grep -q '^running$' <<<"$rows"; then
      stop || true # without one of its processes the program cannot go on
    fi
    if [ -n "$rows" ]; then
      on_workers all "bash launch/on_host.sh watch $JOB 0" || true # what it wrote last
    fi
    return
  done
}

fetch() {
  if [ -n "$MOUNTED" ]; then
    return
  fi
  # tar's status 1 says that a file changed while it was read: the program is writing.
  on_workers 0 "tar -czf ../ipt_jax_results.tar.gz $(quoted "$WORKDIR") || test \$? -eq 1" &&
    copy_from_worker_0 ipt_jax_results.tar.gz "$SCRATCH/results.tar.gz" &&
    execute tar -xzf "$SCRATCH/results.tar.gz"
}

# What a preempted slice leaves behind.
keep_results() {
  if [ -n "$BUCKET" ]; then
    on_workers 0 "gcloud storage rsync --recursive $(quoted "$WORKDIR" "$BUCKET")"
  else
    fetch
  fi
}

# From wherever the slice is to the end of the program, once.
attempt() {
  local rows=""
  VERDICT=stuck
  create || return
  [ -z "$FRESH" ] || READY=""
  [ -n "$FRESH" ] || rows="$(statuses absent 2>/dev/null)" || true # nothing is installed there, then
  if grep -q '^running$' <<<"$rows"; then
    say "the program is running on $NAME"
  else
    if [ -z "$READY" ]; then
      install && send || return
      READY=yes
    fi
    start || return
  fi
  watch
}

all() {
  local restarts=0
  while true; do
    attempt
    if [ "$VERDICT" = stuck ] && [ -n "$EXISTS" ]; then
      sleep "$POLL" # a slice can be taken away in the middle of any step, and its state follows a little later
      if gone; then
        VERDICT=gone
      fi
    fi
    case "$VERDICT" in
      finished)
        if fetch && { [ -z "$BUCKET" ] || keep_results; }; then
          break
        fi
        say "finished, but the results could not be copied; try again with: bash $SELF fetch … and the same flags"
        return 1
        ;;
      failed)
        say "the program failed; what it wrote last is above"
        keep_results || true
        return 1
        ;;
      stuck)
        say "gave up; the last command and its error are above"
        return 1
        ;;
      restart) say "the program saved its work and asks to be started again" ;;
      gone)
        say "$NAME was taken away; making it again"
        delete || return 1
        ;;
    esac
    restarts=$((restarts + 1))
    if [ "$restarts" -gt "$RESTARTS" ]; then
      say "started again $RESTARTS times; giving up (--restarts)"
      return 1
    fi
  done
  [ -n "$DRY_RUN" ] || say "done; the results are in $WORKDIR"
  [ -n "$KEEP" ] || delete
}

# However this ends, nobody pays for a slice without having been told.
farewell() {
  local status="$?"
  if [ "$STEP" = all ] && [ "$DELETE_ON_FAILURE$EXISTS" = yesyes ] && [ "$status" -ne 0 ] && [ "$status" -lt 128 ]; then
    delete || true # not when interrupted: then the program goes on
  fi
  if [ -n "$EXISTS" ] && [ -z "$DRY_RUN" ]; then
    say "$NAME exists and costs money until you delete it:"
    say "    $(quoted gcloud compute tpus queued-resources delete "$NAME" "${PLACE[@]}" --force)"
  fi
  [ -n "$DRY_RUN" ] || rm -rf "$SCRATCH"
}

STEP="${1:-}"
case "$STEP" in
  all | create | install | send | start | watch | fetch | stop | delete) shift ;;
  *) fail "'$STEP' is none of all, create, install, send, start, watch, fetch, stop, delete (bash $SELF --help)" ;;
esac
parse "$@"
check
PLACE=(--zone="$ZONE" ${PROJECT:+--project="$PROJECT"})
JOB="$(quoted "${WORKDIR//\//-}")"
case "$STEP" in
  all | install) check_commit ;;
esac
if [ -n "$DRY_RUN" ]; then
  SCRATCH="${TMPDIR:-/tmp}"
else
  command -v gcloud >/dev/null || fail "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
  SCRATCH="$(mktemp -d)"
fi
trap farewell EXIT
trap 'say "interrupted; what was started there goes on, and the same command finds it again"; exit 130' INT
trap 'exit 143' TERM
[ "$STEP" = all ] || [ "$STEP" = delete ] || EXISTS=yes
"$STEP"
if [ "$STEP" = watch ]; then
  say "the program: $VERDICT"
  [ "$VERDICT" = finished ]
fi
