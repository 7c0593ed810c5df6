#!/usr/bin/env bash
# Property tests with random seeds until the time is over: fuzz.sh [MINUTES]. What fails is kept as a case: test/property/kept-seeds.txt.
# fuzz.sh --kept plays the kept cases again, as the gate does.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
exec bun scripts/fuzz.ts "$@"
