#!/usr/bin/env bash
# Configure and build one preset; the program is left at build/PRESET/txtsum.
#
# usage: scripts/build.sh PRESET [--tests] [--warnings-as-errors] [--no-setup] [target...]
#   PRESET                release, dev, asan, fuzz, or cuda for NVIDIA GPUs (CMakePresets.json)
#   --tests               build the tests too; without it, and without targets, the program alone is built
#   --warnings-as-errors  treat compiler warnings as errors (preset dev always does)
#   --no-setup            do not run scripts/setup.sh first
#   target...             build these targets instead
#
# Sets up what is missing first (scripts/setup.sh). TXTSUM_JOBS is the number of compilers to run at once (default: one
# a core with 2 GiB of memory each).
#
# examples: scripts/build.sh release
#           scripts/build.sh dev --tests
#           scripts/build.sh cuda
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/console.sh"

preset='' targets=() setup_options=() setup=1 tests=OFF warnings_as_errors=''
for argument in "$@"; do
  case $argument in
    -h | --help) show_help ;;
    --tests)
      tests=ON
      setup_options+=(--tests)
      ;;
    --warnings-as-errors) warnings_as_errors=ON ;;
    --no-setup) setup='' ;;
    -*) fail "unknown option $argument" "scripts/build.sh --help lists what there is." ;;
    *) if [ -z "$preset" ]; then preset=$argument; else targets+=("$argument"); fi ;;
  esac
done
[ -n "$preset" ] || fail "which preset?" "For example: scripts/build.sh release"
if [ "$preset" = cuda ]; then setup_options+=(--cuda); fi
if [ ${#targets[@]} -eq 0 ] && [ $tests = OFF ]; then targets=(txtsum); fi
# Said every time, so that an earlier build's choice does not linger in CMake's cache.
if [ -z "$warnings_as_errors" ]; then warnings_as_errors=$([ "$preset" = dev ] && echo ON || echo OFF); fi
options=("-DTXTSUM_BUILD_TESTS=$tests" "-DTXTSUM_WARNINGS_AS_ERRORS=$warnings_as_errors")

started=$SECONDS
[ -z "$setup" ] || "$repository/scripts/setup.sh" "${setup_options[@]}"
PATH=$repository/.deps/cmake/bin:$PATH # only there where the distribution's CMake is too old
require_disk "$repository" 1500 "the build"
cd "$repository"
mkdir -p build
stage 1/2 "Configure build/$preset"
cmake --preset "$preset" "${options[@]}" >"build/$preset.configure.log" 2>&1 || {
  cat "build/$preset.configure.log" >&2
  fail "CMake could not configure preset $preset" "Its output is above, and in build/$preset.configure.log."
}
stage 2/2 "Build ${targets[*]:-everything}" "$(build_jobs) compilers at once"
cmake --build "build/$preset" --parallel "$(build_jobs)" ${targets[@]+--target "${targets[@]}"}
say "built after $(duration $((SECONDS - started)))"
