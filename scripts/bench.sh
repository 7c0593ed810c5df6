#!/usr/bin/env bash
# Measures what the proxy costs between two pods, beside the same way without it: bench.sh --help. As root.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

# program:package
wanted=(wrk:wrk iperf3:iperf3 openssl:openssl ip:iproute2 ss:iproute2 nft:nftables)
peers=(haproxy:haproxy nginx:nginx-light stunnel4:stunnel4)

# None of them is to start in the machine's own network: policy-rc.d tells Debian so.
install_packages() {
  local missing=() policy=/usr/sbin/policy-rc.d made= pair
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}"); done
  if [[ " $* " == *" nginx:"* && ! -e /usr/lib/nginx/modules/ngx_stream_module.so ]]; then missing+=(libnginx-mod-stream); fi
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    printf 'bench: install these, or run this as root on Debian: %s\n' "${missing[*]}" >&2
    exit 1
  fi
  say "installing ${missing[*]} (10 s)"
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    made=$policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  local code=0
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >/dev/null || code=$?
  rm -f "$made"
  return $code
}

PATH="$PATH:/usr/sbin:/sbin"
if [[ " $* " != *" --help "* && " $* " != *" -h "* ]]; then
  if [[ $EUID -ne 0 ]]; then
    printf 'bench: it makes network namespaces: run it as root\n' >&2
    exit 1
  fi
  install_packages "${wanted[@]}"
  if [[ " $* " == *" --peers "* ]]; then install_packages "${peers[@]}"; fi
  build_executable
  export TPROXY_EXECUTABLE="$PWD/bin/tproxy"
fi
exec bun scripts/bench/main.ts "$@"
