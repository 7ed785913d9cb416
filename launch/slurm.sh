#!/usr/bin/env bash
# Carries out an experiment on a SLURM cluster: as one job over several nodes, or as job arrays over its populations.
#
#   bash launch/slurm.sh [flags] -- --config=FILE --workdir=FOLDER [flags of ipt_jax.main]
#   bash launch/slurm.sh --array [flags] -- --config=FILE --workdir=FOLDER [flags of ipt_jax.main]
#
# The first submits one job with a process per GPU. With --array every population that is not finished is a job of its
# own; those that take a prompt from another wait for it, and the last job renders the report. The checkout with its
# .venv (bash launch/on_host.sh install cuda) and the workdir are on a disk that all nodes share. Exit status 75, with
# which the program ends two minutes before its time is up, puts the job back into the queue, and it goes on from there.
# The scripts and the logs are in WORKDIR/slurm.
#
# --array              a job per population
# --nodes=N            of each job; 1 by default
# --gpus-per-node=N    of each job; 1 by default
# --max-running=N      of an array's jobs at the same time; all by default
# --time=LIMIT         of each job, as sbatch takes it, such as 12:00:00
# --partition=NAME
# --account=NAME
# --sbatch=OPTION      any other option of sbatch, such as --sbatch=--mem=64G; can be given several times
# --restarts=N         how often a job is put back into the queue; 100 by default
# --dry-run            print the scripts and the commands, submit nothing; the program is still asked for its list
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

ARRAY="" NODES=1 GPUS=1 MAX_RUNNING="" RESTARTS=100
OPTIONS=()

set_flag() {
  local value="${1#*=}"
  case "$1" in
    --array) ARRAY=yes ;;
    --nodes=?*) NODES="$value" ;;
    --gpus-per-node=?*) GPUS="$value" ;;
    --max-running=?*) MAX_RUNNING="$value" ;;
    --time=?* | --partition=?* | --account=?*) OPTIONS+=("$1") ;;
    --sbatch=--?*) OPTIONS+=("$value") ;;
    --restarts=?*) RESTARTS="$value" ;;
    *) return 1 ;;
  esac
}

# script NAME NODES GPUS ARRAY-SPEC POPULATIONS COMMAND-LINE   prints a script for sbatch
script() {
  local name="$1" nodes="$2" gpus="$3" array="$4" populations="$5" command="$6" log="%j" option
  [ -z "$array" ] || log="%A_%a"
  echo "#!/usr/bin/env bash"
  # Slurm sends the signal to the tasks, not to this script, so srun returns what they make of it.
  for option in --job-name="$name" --chdir="$ROOT" --output="$WORKDIR/slurm/$name-$log.log" --open-mode=append \
    --nodes="$nodes" --ntasks-per-node="$gpus" --gpus-per-node="$gpus" --requeue --signal=TERM@120 \
    ${array:+--array="$array"} "${OPTIONS[@]}"; do
    echo "#SBATCH $(quoted "$option")"
  done
  cat <<END
set -uo pipefail
job="\$SLURM_JOB_ID"
${populations:+job="\${SLURM_ARRAY_JOB_ID}_\$SLURM_ARRAY_TASK_ID"
populations=($populations)
}status=0
# A task per GPU: jax.distributed gives task i of a node GPU i among all that the tasks of the node see.
srun --kill-on-bad-exit=1 $command || status=\$?
if [ "\$status" -eq 75 ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt $RESTARTS ]; then
  scontrol requeue "\$job"
fi
exit "\$status"
END
}

# submit NAME DEPENDENCY SCRIPT   prints the job's number; DEPENDENCY is that of the job before, or empty
submit() {
  local file="$WORKDIR/slurm/$1.sh" id
  if [ -n "$DRY_RUN" ]; then
    printf '# %s\n%s\n\n' "$file" "$3" >&3
  else
    mkdir -p "$WORKDIR/slurm"
    printf '%s\n' "$3" >"$file"
  fi
  # What waits for a job that failed could wait for ever; it is cancelled instead.
  id="$(ask "ID_OF_$1" sbatch --parsable ${2:+--dependency="afterok:$2" --kill-on-invalid-dep=yes} "$file")" ||
    fail "sbatch refused $file; what was submitted before it stays in the queue (scancel takes it out)"
  id="${id%%;*}" # behind it, where there are several, comes the cluster's name
  [ -n "$DRY_RUN" ] || say "$1: job $id${2:+, after job $2}"
  echo "$id"
}

submit_arrays() {
  local list depth depths populations count id="" name
  # A login node has no GPU; what the populations are there follows from the platform among the flags.
  list="$(JAX_PLATFORMS=cpu "${PROGRAM[@]}" --list)" || fail "the program gave no list of its populations"
  depths="$(cut -sf 3 <<<"$list" | sort -nu)"
  for depth in $depths; do
    mapfile -t populations < <(awk -F '\t' -v depth="$depth" '$3 == depth { print $1 }' <<<"$list")
    count="${#populations[@]}" name="populations-$depth"
    id="$(submit "$name" "$id" "$(script "$name" "$NODES" "$GPUS" "0-$((count - 1))${MAX_RUNNING:+%$MAX_RUNNING}" \
      "$(quoted "${populations[@]}")" "$COMMAND --only=\"\${populations[\$SLURM_ARRAY_TASK_ID]}\"")")"
  done
  submit report "$id" "$(script report 1 1 "" "" "$(quoted "${PROGRAM[@]}")")" >/dev/null
}

parse "$@"
check_main_flags gpu
whole_number --nodes "$NODES"
whole_number --gpus-per-node "$GPUS"
whole_number --restarts "$RESTARTS"
[ -z "$MAX_RUNNING" ] || whole_number --max-running "$MAX_RUNNING"
[ -x .venv/bin/python ] || fail "$ROOT/.venv is missing; make it: bash launch/on_host.sh install cuda"
[ -n "$DRY_RUN" ] || command -v sbatch >/dev/null || fail "no sbatch here; go to a login node of a SLURM cluster"
PROGRAM=(.venv/bin/python -m ipt_jax.main "${MAIN_FLAGS[@]}")
COMMAND="$(quoted "${PROGRAM[@]}")"
if [ "$((NODES * GPUS))" -gt 1 ]; then
  COMMAND+=" --distributed"
fi
if [ -n "$ARRAY" ]; then
  submit_arrays
else
  submit experiment "" "$(script experiment "$NODES" "$GPUS" "" "" "$COMMAND")" >/dev/null
fi
