#!/usr/bin/env bash
# Carries out an experiment on several hosts with GPUs, reached by ssh.
#
#   bash launch/gpu_hosts.sh --hosts=HOST,HOST [flags] -- --config=FILE --workdir=FOLDER [flags of ipt_jax.main]
#
# Starts a process per host, which uses all of its GPUs. The first host's is the coordinator and writes the results.
# Every line of output begins with its host. When one process fails all are stopped; exit status 75 of the program
# starts all again. Without --copy this checkout and the workdir are on a disk that all hosts share under one path.
#
# --hosts=HOST,HOST    as ssh takes them; the name of the first must be one by which the others reach it
# --coordinator=NAME   the first host's name among the others, where it is another than for ssh
# --port=N             of the coordinator; 12321 by default
# --gpus-per-host=N    a process per GPU instead of one per host
# --copy               nothing is shared: copy the commit HEAD, the --upload paths and the workdir to every host, and
#                      the workdir of the first host back at the end
# --upload=PATH        with --copy: a file or folder of this checkout that is not in git, such as data; several times
# --checkout=PATH      the checkout on the hosts; by default this one's path, with --copy ipt_jax in the home folder
# --restarts=N         how often to start again after exit status 75; 100 by default
# --dry-run            print every command, carry out none
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

COORDINATOR="" PORT=12321 GPUS="" COPY="" CHECKOUT="" RESTARTS=100
HOSTS=() UPLOADS=()
SSH=(ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=30 -o ServerAliveCountMax=4)

set_flag() {
  local value="${1#*=}"
  case "$1" in
    --hosts=?*) IFS=, read -r -a HOSTS <<<"$value" ;;
    --coordinator=?*) COORDINATOR="$value" ;;
    --port=?*) PORT="$value" ;;
    --gpus-per-host=?*) GPUS="$value" ;;
    --copy) COPY=yes ;;
    --upload=?*) UPLOADS+=("$value") ;;
    --checkout=?*) CHECKOUT="$value" ;;
    --restarts=?*) RESTARTS="$value" ;;
    *) return 1 ;;
  esac
}

check() {
  local path
  [ "${#HOSTS[@]}" -gt 0 ] || fail "--hosts is needed: bash $SELF --hosts=node1,node2 -- …"
  check_main_flags gpu
  whole_number --port "$PORT"
  whole_number --restarts "$RESTARTS"
  [ -z "$GPUS" ] || whole_number --gpus-per-host "$GPUS"
  if [ -n "$COPY" ]; then
    check_workdir_is_inside "share a disk and leave out --copy"
    check_commit
    for path in "${UPLOADS[@]}"; do
      [ -e "$path" ] || fail "--upload=$path does not exist below $ROOT"
    done
  elif [ "${#UPLOADS[@]}" -gt 0 ]; then
    fail "--upload needs --copy; without it the hosts read this checkout's disk"
  fi
}

on_host() { # HOST COMMAND-LINE
  execute "${SSH[@]}" -n "$1" "cd $(quoted "$CHECKOUT") && $2"
}

# send HOST PATH…   copies paths of this checkout; what is newer there stays
send() {
  local there
  there="tar --keep-newer-files --warning=no-ignore-newer -xf - -C $(quoted "$CHECKOUT")"
  if [ -n "$DRY_RUN" ]; then
    echo "tar -cf - -- $(quoted "${@:2}") | $(quoted "${SSH[@]}" "$1" "$there")"
  else
    tar -cf - -- "${@:2}" | "${SSH[@]}" "$1" "$there"
  fi
}

install() {
  local host there
  there="mkdir -p $(quoted "$CHECKOUT") && tar -xf - -C $(quoted "$CHECKOUT")"
  if [ -z "$COPY" ]; then
    on_host "${HOSTS[0]}" "bash launch/on_host.sh install cuda" # on a disk that all share
    return
  fi
  for host in "${HOSTS[@]}"; do
    if [ -n "$DRY_RUN" ]; then
      echo "git archive HEAD | $(quoted "${SSH[@]}" "$host" "$there")"
    else
      git archive HEAD | "${SSH[@]}" "$host" "$there"
    fi
    on_host "$host" "bash launch/on_host.sh install cuda"
    if [ -e "$WORKDIR" ]; then
      send "$host" "${UPLOADS[@]}" "$WORKDIR"
    elif [ "${#UPLOADS[@]}" -gt 0 ]; then
      send "$host" "${UPLOADS[@]}"
    fi
  done
}

fetch() {
  local there
  there="tar -cf - -C $(quoted "$CHECKOUT" "$WORKDIR")"
  if [ -z "$COPY" ]; then
    return
  elif [ -n "$DRY_RUN" ]; then
    echo "$(quoted "${SSH[@]}" -n "${HOSTS[0]}" "$there") | tar -xf -"
  else
    "${SSH[@]}" -n "${HOSTS[0]}" "$there" | tar -xf -
  fi
}

# What is done with process I is done on host I / PER_HOST, under a name of its own.
host_of() {
  echo "${HOSTS[$1 / PER_HOST]}"
}

start() {
  local command=()
  [ -z "$GPUS" ] || command=(env "CUDA_VISIBLE_DEVICES=$(($1 % PER_HOST))")
  command+=(.venv/bin/python -m ipt_jax.main "${MAIN_FLAGS[@]}" --distributed)
  command+=("--coordinator_address=$COORDINATOR:$PORT" "--num_processes=$PROCESSES" "--process_id=$1")
  on_host "$(host_of "$1")" "bash launch/on_host.sh start $JOB-$1 $(quoted "${command[@]}")"
}

watch() {
  local label line status=0
  label="$(host_of "$1")${GPUS:+ GPU $(($1 % PER_HOST))}"
  if [ -n "$DRY_RUN" ]; then
    on_host "$(host_of "$1")" "bash launch/on_host.sh watch $JOB-$1"
    return
  fi
  on_host "$(host_of "$1")" "bash launch/on_host.sh watch $JOB-$1" |
    while IFS= read -r line || [ -n "$line" ]; do printf '[%s] %s\n' "$label" "$line"; done || status=$?
  [ "$status" -eq 0 ] || say "[$label] process $1 ended with status $status"
  return "$status"
}

stop_all() {
  local i
  for ((i = 0; i < PROCESSES; i++)); do
    on_host "$(host_of "$i")" "bash launch/on_host.sh stop $JOB-$i" ||
      say "could not stop process $i; when $(host_of "$i") can be reached: the command above" &
  done
  wait
}

# Starts all processes and waits for them; the exit status is that of the first that failed.
attempt() {
  local i status=0
  for ((i = 0; i < PROCESSES; i++)); do
    start "$i" || return 1
  done
  for ((i = 0; i < PROCESSES; i++)); do
    watch "$i" &
    [ -z "$DRY_RUN" ] || wait # in order
  done
  [ -z "$DRY_RUN" ] || return 0
  for ((i = 0; i < PROCESSES; i++)); do
    wait -n || status=$?
    [ "$status" -eq 0 ] || return "$status"
  done
}

# shellcheck disable=SC2317,SC2329 # the traps below call it
interrupted() {
  trap - INT TERM
  say "interrupted; stopping the processes on all hosts"
  stop_all
  exit "$1"
}

parse "$@"
check
[ -n "$CHECKOUT" ] || CHECKOUT="${COPY:+ipt_jax}"
[ -n "$CHECKOUT" ] || CHECKOUT="$ROOT"
[ -n "$COORDINATOR" ] || COORDINATOR="${HOSTS[0]#*@}"
PER_HOST="${GPUS:-1}"
PROCESSES="$((${#HOSTS[@]} * PER_HOST))"
JOB="$(quoted "${WORKDIR//\//-}")"
install
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
for ((restarts = 0; ; restarts++)); do
  status=0
  attempt || status=$?
  if [ "$status" -ne 0 ]; then
    stop_all
  fi
  if [ "$status" -ne 75 ]; then
    break
  elif [ "$restarts" -ge "$RESTARTS" ]; then
    say "started again $RESTARTS times; giving up (--restarts)"
    break
  fi
  say "the program saved its work and asks to be started again"
done
fetch || say "the results could not be copied from ${HOSTS[0]}"
[ "$status" -eq 0 ] || say "failed; the same command goes on from what is saved"
exit "$status"
