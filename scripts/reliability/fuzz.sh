#!/usr/bin/env bash
# Give the parsers of files from outside a million random inputs each, under the address and undefined-behaviour
# sanitizers.
#
# usage: scripts/reliability/fuzz.sh [--runs N] [--seconds N] [--work FOLDER] [--no-setup] [NAME...]
#   --runs N       inputs for each parser (default 1000000)
#   --seconds N    but no longer than this for each (default: as long as it takes)
#   --work FOLDER  where logs and inputs that were found go (default build/fuzz/work)
#   --no-setup     do not run scripts/setup.sh first
#   NAME           only these: the folders of tests/fuzz/corpus (default: all)
#
# Builds the libFuzzer programs of tests/fuzz with preset fuzz, which needs Clang. Each starts from its corpus and from
# what earlier runs found, and ends at the first input that a parser neither accepts nor refuses in the program's own
# words, that takes more than 30 s, or for which more than 256 MiB are asked at once. That input is kept as
# FOLDER/NAME/found/crash-*: mend the parser and put it into tests/fuzz/corpus/NAME, where it is a test of the unit tier
# from then on. Exit code 1 where one was found.
#
# examples: scripts/reliability/fuzz.sh
#           scripts/reliability/fuzz.sh --seconds 60 csv yaml
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/../console.sh"

runs=1000000 seconds=0 work=$repository/build/fuzz/work setup_options=() names=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    --runs | --seconds | --work)
      [ $# -ge 2 ] || fail "$1 needs a value"
      declare "${1#--}=$2"
      shift
      ;;
    --no-setup) setup_options+=("$1") ;;
    -*) fail "unknown option $1" "scripts/reliability/fuzz.sh --help lists what there is." ;;
    *) names+=("$1") ;;
  esac
  shift
done
command -v clang++ >/dev/null || fail "no clang++" "libFuzzer is Clang's: install the distribution's package clang."
corpora=$repository/tests/fuzz/corpus
if [ ${#names[@]} -eq 0 ]; then mapfile -t names < <(ls "$corpora"); fi
for name in "${names[@]}"; do
  [ -d "$corpora/$name" ] || fail "no parser $name" "There are: $(ls "$corpora" | tr '\n' ' ')"
done

"$repository/scripts/build.sh" fuzz --tests "${setup_options[@]}" "${names[@]/#/fuzz_}"
mkdir -p "$work"
work=$(cd "$work" && pwd)
failed=0
for name in "${names[@]}"; do
  stage "$name" "$runs inputs"
  mkdir -p "$work/$name/corpus" "$work/$name/found"
  if "$repository/build/fuzz/tests/fuzz/fuzz_$name" "$work/$name/corpus" "$corpora/$name" -runs="$runs" \
    -max_total_time="$seconds" -max_len=4096 -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=256 \
    -print_final_stats=1 -artifact_prefix="$work/$name/found/" >"$work/$name/log.txt" 2>&1; then
    say "$(grep -E '^#[0-9]+[[:space:]]+DONE' "$work/$name/log.txt" | tr '\t' ' ')"
  else
    failed=1
    warn "$name: see $work/$name/log.txt"
    grep -m 3 -E 'ERROR|runtime error|what\(\)|names no file|another' "$work/$name/log.txt" >&2 || true
  fi
done
exit $failed
