#!/usr/bin/env bash
# Builds bin/tproxy, one executable with Bun's runtime, the shim and the program in it.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
build_executable
