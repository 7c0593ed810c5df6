#!/usr/bin/env bash
# Builds the executable of the release before this one, from this repository's own history: bin/previous/tproxy.
# Tests let both carry each other's connections. The commit stands in test/previous-release.txt.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

commit=$(cat test/previous-release.txt)
out=bin/previous/tproxy
if [[ -x $out && $(cat "$out.commit" 2>/dev/null) == "$commit" ]]; then exit 0; fi
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
  printf 'previous: commit %s is not in this clone: git fetch --unshallow\n' "$commit" >&2
  exit 1
fi

say "building the previous release, ${commit:0:12} (a minute)"
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
git archive "$commit" | tar -x -C "$source"
# The same locked packages need not be fetched twice.
if cmp -s bun.lock "$source/bun.lock"; then
  ln -s "$PWD/node_modules" "$source/node_modules"
fi
(cd "$source" && TPROXY_COMMIT=${commit:0:12} ./scripts/build.sh)
mkdir -p bin/previous
mv -f "$source/bin/tproxy" "$out"
printf '%s' "$commit" >"$out.commit"
