#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/fuzz.sh [MINUTES]
       scripts/fuzz.sh --kept

Runs the property tests with random seeds for MINUTES (5). A seed that fails is kept in test/property/kept-seeds.txt.

Options:
  --kept       play the kept seeds again, as the tests do
  --help       show this

Examples:
  scripts/fuzz.sh 10
  scripts/fuzz.sh --kept

Exit codes: 0 nothing failed, 1 something did, 2 a mistake on the command line.'
source "$(dirname "$0")/setup.sh" --functions
read_options "$usage" 1 "$@"
set_up
exec bun scripts/fuzz.ts "$@"
