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
  if [[ -f $library && -z $(find ffi/src ffi/build.zig ffi/build.zig.zon -newer "$library") ]]; then return; fi
  say "building the shim with zig (12 s when cold)"
  (cd ffi && zig build)
  touch "$library"
}

# No .env and no bunfig.toml of the folder it is started in: they would be settings from nowhere.
build_executable() {
  if [[ -x bin/tproxy && -z $(find src package.json ffi/zig-out/lib bun.lock -newer bin/tproxy) ]]; then return; fi
  say "compiling bin/tproxy (2 s)"
  mkdir -p bin
  bun build --compile --minify --bytecode --format=esm --no-compile-autoload-dotenv \
    --no-compile-autoload-bunfig src/main.ts --outfile bin/tproxy.new >&2
  touch bin/tproxy.new
  mv -f bin/tproxy.new bin/tproxy # Whole or not at all: an interrupted one would look fresh.
}

install_dependencies
build_shim
