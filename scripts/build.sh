#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/build.sh [--dynamic]

Builds bin/tproxy, one static file that runs on any x86-64 Linux. The first time it installs Bun and Zig from npm into
node_modules. Does nothing if bin/tproxy is newer than its sources.

Options:
  --dynamic    build bin/tproxy-dynamic instead, which needs glibc, for any processor that Bun has
  --help       show this

Examples:
  scripts/build.sh && install bin/tproxy /usr/local/bin/tls-tproxy
  scripts/build.sh --dynamic

Exit codes: 0 built, 1 failed, 2 a mistake on the command line.'
source "$(dirname "$0")/setup.sh" --functions
read_options "$usage" 0 "$@"
build_executable "$@"
