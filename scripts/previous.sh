#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/previous.sh

Builds the release before this one from this repository'"'"'s own history: bin/previous/tproxy. The tests let both releases
carry each other'"'"'s connections. The commit is in test/previous-release.txt.

Options:
  --help       show this

Examples:
  scripts/previous.sh

Exit codes: 0 built, or it was there; 1 failed; 2 a mistake on the command line.'
source "$(dirname "$0")/setup.sh" --functions
read_options "$usage" 0 "$@"
set_up

commit=$(cat test/previous-release.txt)
out=bin/previous/tproxy
if [[ -x $out && $(cat "$out.commit" 2>/dev/null) == "$commit" ]]; then exit 0; fi
git cat-file -e "$commit^{commit}" 2>/dev/null || fail "commit $commit is not in this clone: git fetch --unshallow"

build_previous() {
  source=$(mktemp -d)
  trap 'rm -rf "$source"' EXIT
  git archive "$commit" | tar -x -C "$source"
  # The same locked packages need not be downloaded twice.
  if cmp -s bun.lock "$source/bun.lock"; then ln -s "$PWD/node_modules" "$source/node_modules"; fi
  (cd "$source" && TPROXY_COMMIT=${commit:0:12} ./scripts/build.sh)
  mkdir -p bin/previous
  mv -f "$source/bin/tproxy" "$out"
  printf '%s' "$commit" >"$out.commit"
}

step "building the previous release, ${commit:0:12} (a minute)" build_previous
