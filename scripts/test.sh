#!/usr/bin/env bash
# Build everything with preset release and run every test. The last line is CTest's.
#
# usage: scripts/test.sh [--tier NAME]... [--preset NAME] [--warnings-as-errors] [--no-setup] [-- CTEST_OPTION...]
#   --tier NAME           only this tier: unit, parity, cli, distributed or golden; may be given more than once
#   --preset NAME         another preset than release (CMakePresets.json)
#   --warnings-as-errors  treat compiler warnings as errors
#   --no-setup            do not run scripts/setup.sh first
#   CTEST_OPTION          passed on to ctest, for example -R NAME
#
# Starts from nothing but a clone: sets up (scripts/setup.sh), builds (scripts/build.sh), runs ctest. A unit-tier run of
# preset asan builds and runs that tier under the address and undefined-behaviour sanitizers, and builds nothing else.
#
# examples: scripts/test.sh
#           scripts/test.sh --tier unit -- -R rouge
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/console.sh"

preset=release tiers='' build_options=() ctest_options=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    --tier | --preset)
      [ $# -ge 2 ] || fail "$1 needs a value"
      if [ "$1" = --tier ]; then tiers+="${tiers:+|}$2"; else preset=$2; fi
      shift
      ;;
    --warnings-as-errors | --no-setup) build_options+=("$1") ;;
    --)
      shift
      ctest_options+=("$@")
      break
      ;;
    *) fail "unknown argument $1" "scripts/test.sh --help lists what there is." ;;
  esac
  shift
done

started=$SECONDS
build=$repository/build/$preset
if [ "$tiers" = unit ]; then
  # Every target of the unit tier is called test_unit_*: build those alone.
  "$repository/scripts/build.sh" "$preset" --tests "${build_options[@]}" help >/dev/null
  build_options+=(--no-setup)
  mapfile -t targets < <(ninja -C "$build" -t targets all | sed -n 's/^\(test_unit_[A-Za-z0-9_]*\): phony$/\1/p' | sort -u)
  [ ${#targets[@]} -gt 0 ] || fail "build/$preset has no target test_unit_*"
  build_options+=("${targets[@]}")
fi
"$repository/scripts/build.sh" "$preset" --tests "${build_options[@]}"
built=$SECONDS

PATH=$repository/.deps/cmake/bin:$PATH
[ -z "$tiers" ] || ctest_options+=(--label-regex "^($tiers)\$")
# LibTorch starts a thread a core in every test program, so programs side by side would only get in each other's way.
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error "${ctest_options[@]}" | tee "$build/ctest.log" || status=$?
say "built in $(duration $((built - started))), tested in $(duration $((SECONDS - built)))"
grep -E '^[0-9]+% tests passed' "$build/ctest.log" || true
exit "$status"
