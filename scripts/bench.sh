#!/usr/bin/env bash
set -euo pipefail
usage=$(<"$(dirname "$0")/bench/usage.txt")
source "$(dirname "$0")/setup.sh" --functions
# With the list of cases, if Bun is installed to print it.
if [[ " $* " != *" --help "* && " $* " != *" -h "* || ! -e node_modules/.stamp ]]; then
  read_options "$usage" 0 "$@"
  [[ $EUID -eq 0 ]] || fail "it makes network namespaces: run it as root"

  # program:package
  wanted=(wrk:wrk iperf3:iperf3 openssl:openssl ip:iproute2 ss:iproute2 nft:nftables)
  peers=(haproxy:haproxy nginx:nginx-light stunnel4:stunnel4
    /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream)
  PATH="$PATH:/usr/sbin:/sbin"
  if [[ " $* " == *" --peers "* ]]; then wanted+=("${peers[@]}"); fi
  build_executable
  install_packages "${wanted[@]}"
  export TPROXY_EXECUTABLE="$PWD/bin/tproxy"
fi
exec bun scripts/bench/main.ts "$@"
