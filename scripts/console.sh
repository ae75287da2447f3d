# shellcheck shell=bash
# Sourced by the other scripts: how they speak to a person, and what they ask of the machine.

# shellcheck disable=SC2034  # the scripts that source this use it
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' red='' plain=''
fi

# Print a stage's heading: stage 2/5 "Title" "about 3 minutes".
stage() { printf '%s[%s %s] %s%s%s\n' "$bold" "$(basename "$0" .sh)" "$1" "$2" "$plain" "${3:+ ($3)}"; }

say() { printf '  %s\n' "$*"; }

warn() { printf '  warning: %s\n' "$*" >&2; }

# End the script: fail "what is wrong" "what to do" ...
fail() {
  printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$1" "$plain" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

# Print seconds as "3 min 07 s".
duration() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }

# Print the comment block at the top of the script as its help, and end.
show_help() {
  awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
  exit 0
}

# Fail unless the file system that holds folder $1 has $2 MiB free, needed for $3.
require_disk() {
  local folder=$1 free_mib
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free_mib=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free_mib" -ge "$2" ] ||
    fail "$free_mib MiB are free in $folder, $2 MiB are needed for $3" "Free some space, or clone onto a larger disk."
}

# Print the MiB of memory that this process may use: the machine's, or less where a container says so.
memory_mib() {
  local total limit
  total=$(awk '/^(MemTotal|SwapTotal):/ { sum += $2 } END { print int(sum / 1024) }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | head -n 1 || true)
  if [[ "$limit" =~ ^[0-9]+$ ]] && [ "$((limit / 1048576))" -lt "$total" ]; then total=$((limit / 1048576)); fi
  printf '%s' "$total"
}

# Fail unless there are $1 MiB of memory, needed for $2.
require_memory() {
  local have
  have=$(memory_mib)
  [ "$have" -ge "$1" ] ||
    fail "$have MiB of memory and swap, $1 MiB are needed for $2" "Add swap space, or use a larger machine."
}

# Print how many compilers to run at once: one a core, each with 2 GiB of memory.
build_jobs() {
  local jobs by_memory
  jobs=${TXTSUM_JOBS:-$(nproc)}
  by_memory=$(($(memory_mib) / 2048))
  if [ -z "${TXTSUM_JOBS:-}" ] && [ "$by_memory" -lt "$jobs" ]; then jobs=$by_memory; fi
  if [ "$jobs" -lt 1 ]; then jobs=1; fi
  printf '%s' "$jobs"
}
