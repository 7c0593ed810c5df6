#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/soak.sh [MINUTES] [SEED]

Mixes normal load with failures at random between two pods in namespaces, for MINUTES (1). Every stream is compared with
what was sent, and nothing may be left afterwards. The same SEED gives the same sequence. Needs root.

Options:
  --help       show this

Examples:
  sudo scripts/soak.sh 10
  sudo scripts/soak.sh 1 20261130

Exit codes: 0 nothing was wrong, 1 something was, 2 a mistake on the command line.'
source "$(dirname "$0")/setup.sh" --functions
read_options "$usage" 2 "$@"
build_executable
export TPROXY_EXECUTABLE="$PWD/bin/tproxy"
exec bun scripts/soak.ts "$@"
