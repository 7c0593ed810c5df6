#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/demo.sh

Builds bin/tproxy if needed, and shows it at work: two pods that talk over mutual TLS, and an outsider, in namespaces of
their own. Needs git and npm, but not root. Leaves nothing behind.

Options:
  --help       show this

Examples:
  scripts/demo.sh
  NO_COLOR=1 scripts/demo.sh

Exit codes: 0 every line as expected, 1 not so, 2 a mistake on the command line.'
source "$(dirname "$0")/setup.sh" --functions
read_options "$usage" 0 "$@"
build_executable
exec bin/tproxy demo
