#!/usr/bin/env bash
# Passes the tests: sets up what they need, then runs the gate (scripts/check.ts).
set -euo pipefail
source "$(dirname "$0")/setup.sh"

# Programs at the other end, and those that look at what the kernel was told.
packages=(busybox-static curl haproxy iperf3 iproute2 nftables openssl procps tcpdump wrk)
programs=(busybox curl haproxy ip iperf3 nft openssl prlimit ss sysctl tcpdump wrk)

install_packages() {
  local missing=()
  for program in "${programs[@]}"; do command -v "$program" >/dev/null || missing+=("$program"); done
  # The largest of them: 124 MB to fetch, 414 MB on disk, a quarter of a minute.
  if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    missing+=(chromium)
    packages+=(chromium)
  fi
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    printf 'test: missing: %s\ntest: install them (Debian: apt-get install %s) or run this as root\n' \
      "${missing[*]}" "${packages[*]}" >&2
    exit 1
  fi
  say "installing ${packages[*]} for the tests"
  DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >&2
}

PATH="$PATH:/usr/sbin:/sbin"
install_packages
exec bun scripts/check.ts
