#!/usr/bin/env bash
# Get about 60,000 real pairs of a text and its one-line summary: Debian's package descriptions (docs/data.md).
#
# usage: scripts/data/debian_synopses.sh OUT
#   OUT   folder for train.jsonl, validation.jsonl and test.jsonl; each line {"id", "document", "summary"}
#
# Reads the package index of the distribution release that this machine's apt sources name (Debian: main; Ubuntu: main
# and universe), without its updates, so that the same release gives the same data. The index is downloaded (about
# 25 MB) into a folder of its own: the machine's package lists stay as they are, and root is not needed.
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/../console.sh"

case ${1:-} in
  -h | --help) show_help ;;
  '' | -*) fail "which folder?" "For example: scripts/data/debian_synopses.sh data/debian_synopses" ;;
esac
out=$1
for program in apt-get python3; do
  command -v $program >/dev/null || fail "$program is missing" "This script needs Debian or Ubuntu, and Python 3."
done
require_disk "$(dirname "$out")" 100 "the data"

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
mkdir -p "$private/lists/partial" "$private/cache/archives/partial"
chmod -R a+rX "$private" # apt downloads as its own user where it can
if [ "$(id -u)" -eq 0 ] && id _apt >/dev/null 2>&1; then chown -R _apt "$private/lists/partial"; fi
apt_get() {
  apt-get -o Acquire::Languages=en -o Dir::State::Lists="$private/lists" -o Dir::Cache="$private/cache" "$@"
}

apt_get -q update >"$private/log" 2>&1 || true # one broken third-party source must not stop it: what counts is below
mapfile -t indexes < <(
  # shellcheck disable=SC2016  # apt expands these names
  apt_get indextargets --format '$(ORIGIN) $(CODENAME) $(COMPONENT) $(FILENAME)' \
    'Identifier: Translations' 'Language: en' |
    awk '($1 == "Debian" && $3 == "main" || $1 == "Ubuntu" && ($3 == "main" || $3 == "universe")) && $2 !~ /-/' | sort -u
)
if [ ${#indexes[@]} -eq 0 ]; then
  cat "$private/log" >&2
  fail "apt found no English descriptions of a Debian or Ubuntu release" \
    "Its messages are above. Check the network, and that /etc/apt/sources.list* names the release itself."
fi

for index in "${indexes[@]}"; do
  read -r origin codename component file <<<"$index"
  printf '%s %s/%s\n' "$origin" "$codename" "$component" >&2
  /usr/lib/apt/apt-helper cat-file "$file"
  printf '\n'
done | python3 "$repository/scripts/data/debian_synopses.py" "$out"
