#!/usr/bin/env bash
# Sourced by the scripts that build: the project's own Bun and Zig (locked npm dependencies), the shim, the executable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh
export PATH="$PWD/node_modules/.bin:$PATH"

install_dependencies() {
  if [[ node_modules/.stamp -nt bun.lock && node_modules/.stamp -nt package.json ]]; then return; fi
  is_there 'npx|bun' || fail "neither npx nor bun found: install Node.js 20 (with npm) or Bun 1.4.5"
  step "installing Bun 1.4.5, Zig 0.16.0 and the locked packages from npm (10 s)" fetch_dependencies
  touch node_modules/.stamp
}

fetch_dependencies() {
  if command -v npx >/dev/null; then
    npx --yes bun@1.4.5 install --frozen-lockfile
  else
    bun install --frozen-lockfile
  fi
}

shim=ffi/zig-out/lib/libtproxy.so

build_shim() {
  if [[ -f $shim && -f ffi/zig-out/bin/tproxy-repair && -z $(find ffi/src ffi/build.zig ffi/build.zig.zon -newer "$shim") ]]; then return; fi
  step "building the shim with Zig (15 s, then cached)" compile_shim
}

compile_shim() {
  (cd ffi && zig build)
  touch "$shim"
}

# The data of `tls-tproxy version`, as one JSON object: build_facts FLAVOUR.
build_facts() {
  local commit
  if [[ -n ${TPROXY_COMMIT:-} ]]; then
    commit=$TPROXY_COMMIT # For a build without git, as in an image.
  else
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    if [[ -n $(git status --porcelain -- src ffi scripts package.json bun.lock 2>/dev/null) ]]; then commit+=-dirty; fi
  fi
  printf '{"version":"%s","commit":"%s","bun":"%s","zig":"%s","flavour":"%s"}' \
    "$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)" "$commit" "$(bun --version)" "$(zig version)" "$1"
}

# compile OUT FACTS [OPTION...]: ignores .env and bunfig.toml of the working directory.
compile() {
  bun build --compile --minify --bytecode --format=esm --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
    --define "TPROXY_BUILD=$2" "${@:3}" src/main.ts --outfile "$1"
}

musl=node_modules/@oven/bun-linux-x64-musl/bin/bun
linker=scripts/static/linker/main.ts

# is_fresh OUT FACTS
is_fresh() {
  local sources=(src package.json bun.lock ffi/src ffi/build.zig scripts/static/{linker,runtime,build.zig})
  [[ -x $1 && $(cat "$1.facts" 2>/dev/null) == "$2" && -z $(find "${sources[@]}" -newer "$1") ]]
}

# build_executable [--dynamic]: builds what is missing for bin/tproxy, one static file; or for bin/tproxy-dynamic,
# which needs glibc. The two long parts, the shim and the C library, are built in parallel.
build_executable() {
  local flavour=static out=bin/tproxy facts
  if [[ ${1:-} == --dynamic ]]; then flavour=dynamic out=bin/tproxy-dynamic; fi
  if [[ $flavour == static && $(uname -m) != x86_64 ]]; then
    fail "the static executable is for x86-64 only: build.sh --dynamic makes one for this machine"
  fi
  install_dependencies
  facts=$(build_facts $flavour)
  if is_fresh $out "$facts" && [[ -f $shim ]]; then
    build_shim
    return
  fi
  mkdir -p bin
  if [[ $flavour == dynamic ]]; then
    build_shim
    step "compiling $out (2 s)" compile "$out.new" "$facts"
    mv -f "$out.new" "$out" # Atomic: an interrupted build would look up to date.
  else
    build_static "$out" "$facts"
  fi
  printf '%s' "$facts" >"$out.facts"
}

build_static() {
  local out=$1 facts=$2
  start_step runtime "building the C library that bin/tproxy contains (half a minute, then cached)" bun $linker --runtime $musl
  build_shim
  step "compiling the program (2 s)" compile bin/tproxy.musl "$facts" --target=bun-linux-x64-musl --compile-executable-path=$musl
  await_step runtime
  step "linking $out (1 s)" bun $linker bin/tproxy.musl "$out"
  rm bin/tproxy.musl
}

# Installs what every command of this project needs.
set_up() {
  install_dependencies
  build_shim
}

# When sourced by hand, it sets up.
if [[ ${1:-} != --functions ]]; then set_up; fi
