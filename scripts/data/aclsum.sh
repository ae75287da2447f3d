#!/usr/bin/env bash
# Get 250 scientific papers with their abstracts, or with one-sentence summaries of an aspect: ACLSum (docs/data.md).
#
# usage: scripts/data/aclsum.sh [--aspect challenge|approach|outcome] OUT
#   OUT        folder for train.jsonl, validation.jsonl and test.jsonl; each line {"id", "title", "document", "summary"}
#   --aspect   abstract, introduction and conclusion as the document, and the summary of that aspect that people wrote;
#              without it, the whole paper as the document and its abstract as the summary
#
# Downloads the Python package aclsum 0.1.2 (5 MB) with pip and reads the data in it; nothing of it is installed or run.
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/../console.sh"

wheel=aclsum-0.1.2-py3-none-any.whl
sha256=c75ffc48d3eabc5f37c68ea087943780a85950087957759e89746f21111f2213
example="For example: scripts/data/aclsum.sh data/aclsum"

out='' choice=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    --aspect)
      case ${2:-} in
        challenge | approach | outcome) choice=(--aspect "$2") ;;
        *) fail "no aspect '${2:-}'" "There are challenge, approach and outcome." ;;
      esac
      shift
      ;;
    -*) fail "unknown argument $1" "scripts/data/aclsum.sh --help lists what there is." ;;
    *)
      [ -z "$out" ] || fail "two folders, $out and $1" "$example"
      out=$1
      ;;
  esac
  shift
done
[ -n "$out" ] || fail "which folder?" "$example"
python3 -m pip --version >/dev/null 2>&1 ||
  fail "Python 3 with pip is missing" "On Debian and Ubuntu: apt-get install python3-pip"
require_disk "$(dirname "$out")" 100 "the data"

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
# A wheel, never a source package: pip runs code of those. Which Python the package is for does not matter here.
if ! python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: \
  --ignore-requires-python --dest "$private" aclsum==0.1.2 >"$private/log" 2>&1; then
  cat "$private/log" >&2
  fail "pip could not download aclsum 0.1.2" "Its messages are above. Check the network, or download" \
    "$wheel elsewhere, put it into a folder and set PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER."
fi
printf '%s  %s\n' "$sha256" "$private/$wheel" | sha256sum --check --status 2>/dev/null ||
  fail "the download is not the $wheel that this script knows" "Its SHA-256 should be $sha256."

python3 "$repository/scripts/data/aclsum.py" "${choice[@]}" "$private/$wheel" "$out"
