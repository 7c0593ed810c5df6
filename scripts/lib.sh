#!/usr/bin/env bash
# Sourced by every script here: messages, options, progress, and the installation of packages.
# All messages go to stderr.

this=$(basename "$0" .sh)

# Colour and a live line only on terminals: https://no-color.org
colour() { [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; }
live() { [[ -t 2 && ${TERM:-dumb} != dumb ]]; }

# paint SGR TEXT
paint() { if colour; then printf '\033[%sm%s\033[0m' "$1" "$2"; else printf '%s' "$2"; fi; }

say() { printf '%s %s\n' "$(paint 2 '==>')" "$*" >&2; }

# One line for each argument; exit code 1.
fail() {
  printf "$this: %s\n" "$@" >&2
  exit 1
}

# For an error on the command line; exit code 2.
misused() {
  printf '%s: %s\nTry %s --help.\n' "$this" "$1" "$0" >&2
  exit 2
}

# read_options USAGE COUNT ARGUMENT...: prints USAGE for --help; refuses options that it does not list (each at the
# start of a line there, after two spaces), and more than COUNT other arguments.
read_options() {
  local usage=$1 count=$2 argument name known values=0
  shift 2
  known=$(sed -nE 's/^  (-[-a-z]+)( .*)?$/\1/p' <<<"$usage")
  for argument; do
    if [[ $argument == --help || $argument == -h ]]; then
      printf '%s\n' "$usage"
      exit 0
    fi
  done
  for argument; do
    name=${argument%%=*}
    if [[ $argument != -* ]]; then
      values=$((values + 1))
    elif ! grep -qFx -e "$name" <<<"$known"; then
      misused "there is no option $name$(nearest "$name" "$known")"
    elif grep -qE -e "^  $name <" <<<"$usage" && [[ $argument != *=* ]]; then
      values=$((values - 1)) # Its value is a separate argument.
    fi
  done
  if [[ $values -gt $count ]]; then misused "too many arguments"; fi
}

# nearest WORD LIST: ": did you mean ...?" for the word of the list that differs in two letters or fewer.
nearest() {
  awk -v word="$1" '
    function least(a, b, c) { return a < b ? (a < c ? a : c) : (b < c ? b : c) }
    function distance(a, b, i, j, row, last, kept) {
      for (j = 0; j <= length(b); j++) row[j] = j
      for (i = 1; i <= length(a); i++) {
        last = row[0]; row[0] = i
        for (j = 1; j <= length(b); j++) {
          kept = row[j]
          row[j] = least(row[j] + 1, row[j - 1] + 1, last + (substr(a, i, 1) != substr(b, j, 1)))
          last = kept
        }
      }
      return row[length(b)]
    }
    $0 != "" { d = distance(word, $0); if (d < 3 && (best == "" || d < bestDistance)) { best = $0; bestDistance = d } }
    END { if (best != "") printf ": did you mean %s?", best }' <<<"$2"
}

# --- Progress: a step is a command with a title. A terminal has a live line with the time so far; a pipe has plain
# lines, and one more every 15 seconds. The output of a step is shown only if it fails.

declare -A step_pid=() step_title=() step_began=()
step_logs='' turn=0
# shellcheck disable=SC1003
spinner='|/-\'

# start_step KEY TITLE COMMAND...: runs it in the background until await_step KEY.
start_step() {
  local key=$1 title=$2
  shift 2
  if [[ -z $step_logs ]]; then
    step_logs=$(mktemp -d)
    trap end_steps EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
  fi
  step_title[$key]=$title step_began[$key]=$(microseconds)
  if ! live; then say "$title"; fi
  set -m # In a process group of its own, so that all of it can be ended.
  (
    trap 'microseconds >"$step_logs/$key.ended"' EXIT
    "$@"
  ) >"$step_logs/$key" 2>&1 </dev/null &
  step_pid[$key]=$!
  set +m
}

# Waits for the end of a step. If it fails, shows what it printed and exits.
await_step() {
  local key=$1 code=0 so_far told width
  width=$(stty size <&2 2>/dev/null | cut -d ' ' -f 2) || true
  [[ ${width:-0} -gt 30 ]] || width=80
  told=$(($(seconds_now "$key") + 15))
  while kill -0 "${step_pid[$key]}" 2>/dev/null; do
    so_far=$(seconds_now "$key")
    if live; then
      live_line "$so_far"
    elif [[ $so_far -ge $told ]]; then
      say "${step_title[$key]}: still at work after $so_far s"
      told=$((so_far + 15))
    fi
    sleep 0.2
  done
  wait "${step_pid[$key]}" || code=$?
  if live; then printf '\r\033[K' >&2; fi
  unset "step_pid[$key]"
  if [[ $code -ne 0 ]]; then
    cat "$step_logs/$key" >&2
    fail "${step_title[$key]}: failed with exit code $code; what it printed stands above"
  fi
  printf '%s %s: %s s\n' "$(paint 32 '✓')" "${step_title[$key]}" \
    "$(seconds_since "${step_began[$key]}" "$(cat "$step_logs/$key.ended" 2>/dev/null)")" >&2
  if [[ ${#step_pid[@]} -eq 0 ]]; then
    end_steps
    trap - EXIT INT TERM
  fi
}

# step TITLE COMMAND...
step() {
  start_step foreground "$@"
  await_step foreground
}

live_line() {
  local key titles='' room=$((width - 12))
  for key in "${!step_pid[@]}"; do titles+="${titles:+ + }${step_title[$key]}"; done
  turn=$(((turn + 1) % 4))
  printf '\r\033[K%s %s %s s' "$(paint 36 "${spinner:turn:1}")" "${titles:0:room}" "$1" >&2
}

end_steps() {
  local key
  for key in "${!step_pid[@]}"; do kill -TERM -- "-${step_pid[$key]}" 2>/dev/null || true; done
  if live && [[ ${#step_pid[@]} -gt 0 ]]; then printf '\r\033[K' >&2; fi
  if [[ -n $step_logs ]]; then rm -rf "$step_logs"; fi
  step_logs=
}

# Whole seconds since a step began.
seconds_now() { printf '%d' $((($(microseconds) - ${step_began[$1]}) / 1000000)); }

microseconds() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

# seconds_since BEGAN [ENDED]: with one decimal.
seconds_since() {
  local tenths=$(((${2:-$(microseconds)} - $1) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# --- Debian packages

# True if a program exists under one of its names, a|b, or a file exists.
is_there() {
  local name
  for name in ${1//|/ }; do
    if command -v "$name" >/dev/null || [[ -f $name ]]; then return 0; fi
  done
  return 1
}

# install_packages PROGRAM:PACKAGE...: installs the packages whose program is missing, or lists them and exits.
install_packages() {
  local missing=() pair size='10 s'
  for pair in "$@"; do is_there "${pair%%:*}" || missing+=("${pair##*:}"); done
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    fail "missing: ${missing[*]}" "install them (Debian: apt-get install ${missing[*]}), or run this as root"
  fi
  if [[ " ${missing[*]} " == *" chromium "* ]]; then size='half a minute: chromium is 124 MB'; fi
  step "installing ${missing[*]} ($size)" apt_install "${missing[@]}"
}

# Retries, because a mirror may be busy, or another apt-get may run: each file, and all of it once more. policy-rc.d
# keeps Debian from starting services in the machine's own network.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made='' code=1 attempt
  if [[ ! -e $policy ]]; then
    made=$policy
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
  # shellcheck disable=SC2064
  trap "rm -f '$made'" EXIT
  for attempt in 1 2; do
    printf -- '-- apt-get, attempt %s of 2:\n' "$attempt"
    if fetch_and_install "$@"; then
      code=0
      break
    fi
  done
  rm -f "$made"
  trap - EXIT
  return $code
}

# Old package lists may do: only a failed installation with them is an error.
fetch_and_install() {
  local options=(-qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120) packages=("$@")
  export DEBIAN_FRONTEND=noninteractive
  apt-get "${options[@]}" update || true
  # Newer Debian releases have the engine's client in a separate package.
  if [[ " $* " == *" docker.io "* && -n $(apt-cache search --names-only '^docker-cli$') ]]; then packages+=(docker-cli); fi
  apt-get "${options[@]}" install -y --no-install-recommends "${packages[@]}"
}
