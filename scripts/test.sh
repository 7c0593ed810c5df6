#!/usr/bin/env bash
# Passes the tests: sets up what they need, then runs the gate (scripts/check.ts).
set -euo pipefail
source "$(dirname "$0")/setup.sh"
exec bun scripts/check.ts
