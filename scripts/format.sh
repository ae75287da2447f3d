#!/usr/bin/env bash
# Lay out the C++ and CUDA sources of include/, src/ and tests/ as .clang-format says.
#
# usage: scripts/format.sh [--check]
#   --check   change nothing; end with 1 and name the places where the layout differs
#
# Uses clang-format 14: .deps/clang-format (scripts/setup.sh --tests puts it there), else clang-format-14 on the PATH.
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/console.sh"

arguments=(-i)
case ${1:-} in
  '') ;;
  --check) arguments=(--dry-run --Werror) ;;
  -h | --help) show_help ;;
  *) fail "unknown argument $1" "scripts/format.sh --help lists what there is." ;;
esac

for formatter in "$repository/.deps/clang-format/bin/clang-format" clang-format-14 clang-format; do
  if "$formatter" --version 2>/dev/null | grep -q 'version 14\.'; then break; fi
  formatter=''
done
[ -n "$formatter" ] || fail "clang-format 14 is missing" "Run: scripts/setup.sh --tests"

cd "$repository"
find include src tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | sort |
  xargs --no-run-if-empty "$formatter" "${arguments[@]}" || fail "some files are laid out differently" "Run: scripts/format.sh"
