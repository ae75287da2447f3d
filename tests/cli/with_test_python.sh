#!/usr/bin/env bash
# Run a Python test with the interpreter that TXTSUM_TEST_PYTHON names, or skip it (exit code 77) and say why.
#
# usage: with_test_python.sh MODULE SCRIPT [ARGUMENT...]
#   MODULE  what the script needs beyond the standard library, e.g. azure.ai.ml; tests/cli/requirements.txt installs all
set -euo pipefail

module=$1
shift
skip() {
  echo "skipped: $1"
  exit 77
}

[ -n "${TXTSUM_TEST_PYTHON:-}" ] ||
  skip "TXTSUM_TEST_PYTHON is not set (a Python with tests/cli/requirements.txt installed)"
"$TXTSUM_TEST_PYTHON" -c "import $module" 2>/dev/null || skip "$TXTSUM_TEST_PYTHON has no $module"
exec "$TXTSUM_TEST_PYTHON" "$@"
