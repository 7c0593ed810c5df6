#!/usr/bin/env bash
# Sourced by the commands: the project's own Bun and Zig (locked npm dependencies), the shim, the executable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

say() { printf '\033[2m==>\033[0m %s\n' "$*" >&2; }

install_dependencies() {
  if [[ node_modules/.stamp -nt bun.lock && node_modules/.stamp -nt package.json ]]; then return; fi
  say "installing Bun 1.4.5, Zig 0.16.0 and the locked dependencies (about 10 s)"
  if command -v npx >/dev/null; then
    npx --yes bun@1.4.5 install --frozen-lockfile
  elif command -v bun >/dev/null; then
    bun install --frozen-lockfile
  else
    printf 'setup: neither npx nor bun found: install Node.js 20 (with npm) or Bun 1.4.5\n' >&2
    exit 1
  fi >&2
  touch node_modules/.stamp
}

build_shim() {
  local library=ffi/zig-out/lib/libtproxy.so
  if [[ -f $library && -f ffi/zig-out/bin/tproxy-keeper && -z $(find ffi/src ffi/build.zig ffi/build.zig.zon -newer "$library") ]]; then return; fi
  say "building the shim with zig (12 s when cold)"
  (cd ffi && zig build)
  touch "$library"
}

# What `tls-tproxy version` tells, as one JSON object: build_facts FLAVOUR.
build_facts() {
  local commit
  if [[ -n ${TPROXY_COMMIT:-} ]]; then
    commit=$TPROXY_COMMIT # Where there is no git: in an image's build.
  else
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    if [[ -n $(git status --porcelain -- src ffi scripts package.json bun.lock 2>/dev/null) ]]; then commit+=-dirty; fi
  fi
  printf '{"version":"%s","commit":"%s","bun":"%s","zig":"%s","flavour":"%s"}' \
    "$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)" "$commit" "$(bun --version)" "$(zig version)" "$1"
}

# No .env and no bunfig.toml of the folder it is started in: they would be settings from nowhere.
# compile OUT FACTS [OPTION...]
compile() {
  bun build --compile --minify --bytecode --format=esm --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
    --define "TPROXY_BUILD=$2" "${@:3}" src/main.ts --outfile "$1" >&2
}

# build_executable [--dynamic]: bin/tproxy, one static file; or bin/tproxy-dynamic, which wants glibc.
build_executable() {
  local flavour=static out=bin/tproxy facts
  if [[ ${1:-} == --dynamic ]]; then flavour=dynamic out=bin/tproxy-dynamic; fi
  facts=$(build_facts $flavour)
  if [[ -x $out && $(cat "$out.facts" 2>/dev/null) == "$facts" &&
    -z $(find src package.json ffi/src ffi/build.zig scripts/static/{linker,runtime,build.zig} bun.lock -newer "$out") ]]; then return; fi
  mkdir -p bin
  if [[ $flavour == dynamic ]]; then
    say "compiling $out (2 s)"
    compile "$out.new" "$facts"
    mv -f "$out.new" "$out" # Whole or not at all: an interrupted one would look fresh.
  else
    if [[ $(uname -m) != x86_64 ]]; then
      printf 'build: the static executable is for x86-64 alone: build.sh --dynamic makes one for this machine\n' >&2
      exit 1
    fi
    say "compiling and linking $out (4 s, half a minute when cold)"
    local musl=node_modules/@oven/bun-linux-x64-musl/bin/bun
    compile bin/tproxy.musl "$facts" --target=bun-linux-x64-musl --compile-executable-path="$musl"
    bun scripts/static/linker/main.ts bin/tproxy.musl "$out"
    rm bin/tproxy.musl
  fi
  printf '%s' "$facts" >"$out.facts"
}

install_dependencies
build_shim
