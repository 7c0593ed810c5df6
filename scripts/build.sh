#!/usr/bin/env bash
# Builds bin/tproxy, one static file that runs on any x86-64 Linux; with --dynamic bin/tproxy-dynamic, which wants glibc.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
build_executable "$@"
