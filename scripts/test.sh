#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/test.sh

Sets up what the tests need (as root also Debian packages), then runs all checks and tests: scripts/check.ts. Takes about
half an hour. For one file: bun scripts/tests.ts FILE (test/README.md).

Options:
  --help       show this

Examples:
  sudo scripts/test.sh

Exit codes: 0 everything passed, 1 something failed, 2 a mistake on the command line.'
source "$(dirname "$0")/setup.sh" --functions
read_options "$usage" 0 "$@"
set_up

# Peer programs, programs that print the kernel's state, and a browser for the benchmark's report.
wanted=(busybox:busybox-static curl:curl haproxy:haproxy iperf3:iperf3 ip:iproute2 ss:iproute2 nft:nftables
  openssl:openssl prlimit:util-linux shellcheck:shellcheck shfmt:shfmt sysctl:procps tcpdump:tcpdump wrk:wrk
  'chromium|chromium-browser|google-chrome:chromium')

PATH="$PATH:/usr/sbin:/sbin"
install_packages "${wanted[@]}"
exec bun scripts/check.ts
