#!/usr/bin/env bash
# Passes the tests: sets up what they need, then runs the gate (scripts/check.ts).
set -euo pipefail
source "$(dirname "$0")/setup.sh"
source scripts/packages.sh

# Programs at the other end, those that look at what the kernel was told, and a browser for the benchmark's report.
wanted=(busybox:busybox-static curl:curl haproxy:haproxy iperf3:iperf3 ip:iproute2 ss:iproute2 nft:nftables
  openssl:openssl prlimit:util-linux sysctl:procps tcpdump:tcpdump wrk:wrk
  'chromium|chromium-browser|google-chrome:chromium')

PATH="$PATH:/usr/sbin:/sbin"
install_packages test "${wanted[@]}"
exec bun scripts/check.ts
