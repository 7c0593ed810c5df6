#!/usr/bin/env bash
# Good and bad days mixed at random between two pods: soak.sh [minutes] [seed]. As root.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
build_executable
export TPROXY_EXECUTABLE="$PWD/bin/tproxy"
exec bun scripts/soak.ts "$@"
