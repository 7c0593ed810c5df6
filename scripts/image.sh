#!/usr/bin/env bash
# Puts bin/tproxy into an image FROM scratch, without a network, and says how large everything is.
#   image.sh [NAME] [--zstd LEVEL]     tproxy:dev, and 12: 4 s; 19 takes a minute, 0 leaves it out
# Needs a Docker engine (scripts/engine.sh). Takes bin/tproxy as it is: scripts/build.sh makes it.
set -euo pipefail
cd "$(dirname "$0")/.."

image=tproxy:dev level=12
while [[ $# -gt 0 ]]; do
  case $1 in
    --zstd) level=${2:?image: --zstd wants a level} && shift ;;
    -*) sed -n '2,4s/^# //p' "$0" >&2 && exit 2 ;;
    *) image=$1 ;;
  esac
  shift
done

fail() {
  printf 'image: %s\n' "$@" >&2
  exit 1
}

[[ -x bin/tproxy ]] || fail "there is no bin/tproxy: run scripts/build.sh"
! grep -qa -m1 'ld-linux-x86-64.so.2' <(head -c 4096 bin/tproxy) || fail "bin/tproxy wants glibc: an empty image has none"
command -v docker >/dev/null || fail "docker is not installed: scripts/engine.sh installs it"
docker version >/dev/null 2>&1 ||
  fail "no Docker engine answers at ${DOCKER_HOST:-its usual place}" 'start one: eval "$(scripts/engine.sh)"'

install_zstd() {
  if command -v zstd >/dev/null; then return; fi
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    fail "zstd is not installed (Debian: apt-get install zstd); --zstd 0 does without it"
  fi
  printf 'installing zstd\n' >&2
  { DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends zstd; } >/dev/null
}

# Of the program itself, so that the image cannot say something else.
facts=$(cat bin/tproxy.facts 2>/dev/null || true)
fact() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$facts"; }
version=$(fact version) revision=$(fact commit)

# Only the two files are sent, not the folder. The classic builder wants no frontend from a registry.
said=$(tar -c Dockerfile bin/tproxy | DOCKER_BUILDKIT=0 docker build --target prebuilt --tag "$image" \
  --build-arg "VERSION=${version:-unknown}" --build-arg "REVISION=${revision:-unknown}" - 2>&1) || fail "$said"

megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
printf '%s: version %s, commit %s\n' "$image" "${version:-unknown}" "${revision:-unknown}"
printf '  %-14s %s\n' "bin/tproxy" "$(megabytes "$(stat -c %s bin/tproxy)")"
printf '  %-14s %s\n' "image" "$(megabytes "$(docker image inspect --format '{{.Size}}' "$image")")"
if [[ $level -gt 0 ]]; then
  install_zstd
  printf '  %-14s %s\n' "zstd -$level" "$(megabytes "$(docker image save "$image" | zstd -T0 "-$level" | wc -c)")"
fi
