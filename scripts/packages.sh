#!/usr/bin/env bash
# Sourced: what tests and benchmarks take from Debian, where it is missing.

# A program that is there under one of its names, a|b, or a file.
is_there() {
  local name
  for name in ${1//|/ }; do
    if command -v "$name" >/dev/null || [[ -f $name ]]; then return 0; fi
  done
  return 1
}

# install_packages COMMAND PROGRAM:PACKAGE...: those whose program is missing, or says which they are and ends.
install_packages() {
  local who=$1 missing=() pair
  shift
  for pair in "$@"; do is_there "${pair%%:*}" || missing+=("${pair##*:}"); done
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    printf '%s: missing: %s\n%s: install them (Debian: apt-get install) or run this as root\n' \
      "$who" "${missing[*]}" "$who" >&2
    exit 1
  fi
  local size='10 s'
  if [[ " ${missing[*]} " == *" chromium "* ]]; then size='half a minute: chromium is 124 MB to fetch'; fi
  say "installing ${missing[*]} ($size)"
  if ! apt_install "${missing[@]}"; then
    printf '%s: could not install %s; what apt-get said stands above\n' "$who" "${missing[*]}" >&2
    exit 1
  fi
}

# A mirror that is busy or an apt-get of somebody else's is no reason to fail: each file is fetched again, all of it
# once more. Programs that serve are not to start in the machine's own network: policy-rc.d tells Debian so.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made='' log code=1 attempt
  log=$(mktemp)
  if [[ ! -e $policy ]]; then made=$policy; fi
  trap "rm -f '$made' '$log'" EXIT
  if [[ -n $made ]]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
  for attempt in 1 2; do
    if fetch_and_install "$@" >"$log" 2>&1; then
      code=0
      break
    fi
    printf -- '-- apt-get, attempt %s of 2:\n' "$attempt" >&2
    cat "$log" >&2
  done
  rm -f "$made" "$log"
  trap - EXIT
  return $code
}

# Old lists may do, so that only what cannot be installed with them is a failure.
fetch_and_install() {
  local options=(-qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
  export DEBIAN_FRONTEND=noninteractive
  apt-get "${options[@]}" update || true
  apt-get "${options[@]}" install -y --no-install-recommends "$@"
}
