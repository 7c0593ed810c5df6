#!/usr/bin/env bash
# Measures what the proxy costs between two pods, beside the same way without it: bench.sh --help. As root.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
source scripts/packages.sh

# program:package
wanted=(wrk:wrk iperf3:iperf3 openssl:openssl ip:iproute2 ss:iproute2 nft:nftables)
peers=(haproxy:haproxy nginx:nginx-light stunnel4:stunnel4
  /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream)

PATH="$PATH:/usr/sbin:/sbin"
if [[ " $* " != *" --help "* && " $* " != *" -h "* ]]; then
  if [[ $EUID -ne 0 ]]; then
    printf 'bench: it makes network namespaces: run it as root\n' >&2
    exit 1
  fi
  install_packages bench "${wanted[@]}"
  if [[ " $* " == *" --peers "* ]]; then install_packages bench "${peers[@]}"; fi
  build_executable
  export TPROXY_EXECUTABLE="$PWD/bin/tproxy"
fi
exec bun scripts/bench/main.ts "$@"
