#!/usr/bin/env bash
# Builds bin/tproxy and shows it at work: two pods that talk over mutual TLS, in namespaces of their own.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
build_executable
exec bin/tproxy demo "$@"
