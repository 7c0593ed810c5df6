#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/image.sh [NAME] [--zstd LEVEL]

Puts bin/tproxy, as scripts/build.sh made it, into the image NAME (tproxy:dev), without a network, and prints the sizes.
Needs a Docker engine; scripts/engine.sh starts one where there is none.

Options:
  --zstd <level>    how hard to compress, only to print the size: 12 takes 4 s, 19 a minute, 0 leaves it out (12)
  --help            show this

Examples:
  scripts/build.sh && scripts/image.sh
  scripts/image.sh registry.example.org/tproxy:0.1.0 --zstd 0

Exit codes: 0 made, 1 failed, 2 a mistake on the command line.'
cd "$(dirname "$0")/.."
source scripts/lib.sh
read_options "$usage" 1 "$@"

image=tproxy:dev level=12
while [[ $# -gt 0 ]]; do
  case $1 in
    --zstd=*) level=${1#*=} ;;
    --zstd)
      [[ $# -ge 2 ]] || misused "--zstd needs a level from 0 to 19"
      level=$2
      shift
      ;;
    *) image=$1 ;;
  esac
  shift
done
[[ $level =~ ^[0-9]+$ ]] || misused "--zstd needs a level from 0 to 19"

[[ -x bin/tproxy ]] || fail "there is no bin/tproxy: run scripts/build.sh"
! grep -qa -m1 'ld-linux-x86-64.so.2' <(head -c 4096 bin/tproxy) || fail "bin/tproxy wants glibc: an empty image has none"
command -v docker >/dev/null || fail "docker is not installed: scripts/engine.sh installs it"
# shellcheck disable=SC2016 # A command for the reader to type.
docker version >/dev/null 2>&1 ||
  fail "no Docker engine answers at ${DOCKER_HOST:-its usual place}" 'start one: eval "$(scripts/engine.sh)"'

# From the program itself, so that the image cannot disagree with it.
facts=$(cat bin/tproxy.facts 2>/dev/null || true)
fact() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$facts"; }
version=$(fact version) revision=$(fact commit)

# Sends the Dockerfile and what it copies, not the whole folder. The classic builder needs no frontend from a registry.
context() {
  local links
  links=$(mktemp -d)
  mkdir "$links/root"
  ln -s tls-tproxy "$links/root/tproxy"
  tar -c --transform 's|^bin/tproxy$|root/tls-tproxy|' Dockerfile bin/tproxy -C "$links" root/tproxy
  rm -rf "$links"
}
said=$(context | DOCKER_BUILDKIT=0 docker build --target prebuilt --tag "$image" \
  --build-arg "VERSION=${version:-unknown}" --build-arg "REVISION=${revision:-unknown}" - 2>&1) || fail "$said"

megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
printf '%s: version %s, commit %s\n' "$image" "${version:-unknown}" "${revision:-unknown}"
printf '  %-14s %s\n' "bin/tproxy" "$(megabytes "$(stat -c %s bin/tproxy)")"
printf '  %-14s %s\n' "image" "$(megabytes "$(docker image inspect --format '{{.Size}}' "$image")")"
if [[ $level -gt 0 ]]; then
  install_packages zstd:zstd
  printf '  %-14s %s\n' "zstd -$level" "$(megabytes "$(docker image save "$image" | zstd -T0 "-$level" | wc -c)")"
fi
