#!/usr/bin/env bash
# Network, mounts and processes of the engine are namespaces: its bridges, its iptables rules and ip_forward never touch
# the machine's own network, no packet of a test leaves it, and one kill ends all of it in any state.
set -euo pipefail
# shellcheck disable=SC2016 # A command for the reader to type.
usage='Usage: scripts/engine.sh [up]
       scripts/engine.sh run COMMAND...
       scripts/engine.sh down

A Docker engine for the tests where none answers: private, in namespaces of its own, removed without a trace. Needs root.

Commands:
  up           start it if no engine answers, and print the DOCKER_HOST to export (default)
  run          do the same around one command, and remove what it started
  down         remove the engine that an earlier call started

Options:
  --help       show this

Examples:
  eval "$(scripts/engine.sh)"
  scripts/engine.sh run docker version

TPROXY_ENGINE_ROOT (/var/lib/tproxy-engine) is the directory for its files.

Exit codes: 0 done, 1 failed, 2 a mistake on the command line; run: the exit code of COMMAND.'
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=${TPROXY_ENGINE_ROOT:-/var/lib/tproxy-engine}
self=$(readlink -f "${BASH_SOURCE[0]}")
socket=unix://$root/docker.sock
parent=/$(basename "$root")
PATH="$PATH:/usr/sbin:/sbin"

answers() { DOCKER_HOST=$1 timeout 20 docker version >/dev/null 2>&1; }

# The existing engine: the caller's, the machine's, or one of ours.
reachable() {
  local host
  command -v docker >/dev/null || return 1
  for host in "${DOCKER_HOST:-unix:///var/run/docker.sock}" "$socket"; do
    if answers "$host"; then
      printf '%s' "$host"
      return 0
    fi
  done
  return 1
}

# install_engine [client]
install_engine() {
  local wanted=(docker:docker.io ip:iproute2 /bin/busybox:busybox-static)
  if [[ -z ${1:-} ]]; then wanted+=(dockerd:docker.io iptables:iptables); fi
  install_packages "${wanted[@]}"
}

# The process that holds our namespaces, if it is alive; another process may have reused its pid.
keeper() {
  local pid
  pid=$(cat "$root/keeper.pid" 2>/dev/null) || return 1
  grep -qzFx -- "$root" "/proc/$pid/cmdline" 2>/dev/null && printf '%s' "$pid"
}

down() {
  local pid inner directory
  if pid=$(keeper); then
    inner=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true)
    kill -KILL "$pid" 2>/dev/null || true
    # The first process of a PID namespace outlives all others in it; network and mounts end with it.
    for _ in $(seq 300); do
      [[ -d /proc/$pid || -n $inner && -d /proc/${inner%% *} ]] || break
      sleep 0.1
    done
    [[ -z $inner || ! -d /proc/${inner%% *} ]] || fail "process ${inner%% *} does not end; $root is left as it is"
  fi
  for directory in /sys/fs/cgroup"$parent" /sys/fs/cgroup/*"$parent"; do
    [[ -d $directory ]] || continue
    # The kernel releases a cgroup a moment after its last process.
    for _ in $(seq 50); do
      find "$directory" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [[ -d $directory ]] || break
      sleep 0.1
    done
    [[ ! -d $directory ]] || say "the cgroup $directory is still in use: left"
  done
  rm -rf "$root"
}

# Runs inside the new namespaces, as their first process: ends with the engine, and the engine with it.
keep() {
  local driver=overlay2
  # An overlay on an overlay is refused. The empty /run hides the machine's own containerd.
  [[ $(stat -f -c %T "$root") != overlayfs ]] || driver=vfs
  mount -t tmpfs tmpfs /run
  ip link set lo up
  dockerd --config-file "$root/daemon.json" --data-root "$root/data" --exec-root "$root/exec" \
    --pidfile "$root/docker.pid" --host "$socket" --group "$(id -gn)" --storage-driver $driver \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$parent" &
  wait $!
}

start() {
  [[ $EUID -eq 0 ]] || fail "no engine answers, and starting one needs root" \
    "set DOCKER_HOST to one that runs, or run this as root"
  down # Whatever an earlier run may have left.
  mkdir -p "$root"/{data,exec,tmp}
  chmod 711 "$root"
  echo '{}' >"$root/daemon.json" # Instead of the machine's /etc/docker/daemon.json.
  DOCKER_TMPDIR=$root/tmp setsid unshare --net --mount --pid --fork --mount-proc --kill-child \
    "$BASH" "$self" keep "$root" >"$root/log" 2>&1 </dev/null 9<&- &
  echo $! >"$root/keeper.pid"
  disown
  for _ in $(seq 300); do
    if answers "$socket"; then return; fi
    [[ -d /proc/$(<"$root/keeper.pid") ]] || break
    sleep 0.1
  done
  tail -30 "$root/log" >&2
  down
  fail "dockerd did not start: its last words stand above"
}

# Serialised: two starts at once would remove each other's engine.
locked() {
  exec 9<"$self"
  flock 9
  "$@"
  exec 9<&-
}

# Sets `host` to an engine that answers, and `started` if it was started here.
up() {
  started=
  if host=$(reachable); then
    install_engine client
    say "an engine answers at $host: used as it is"
    return
  fi
  [[ -z ${DOCKER_HOST:-} ]] || say "nothing answers at DOCKER_HOST=$DOCKER_HOST: starting a private engine"
  install_engine
  start
  host=$socket started=1
  say "started a private engine at $host ($(DOCKER_HOST=$host docker version --format '{{.Server.Version}}'))"
}

case ${1:-up} in
  -*)
    read_options "$usage" 0 "$1"
    ;;
  up)
    read_options "$usage" 1 "$@"
    locked up
    printf 'export DOCKER_HOST=%s\n' "$host"
    ;;
  run)
    shift
    [[ $# -gt 0 ]] || misused "run which command?"
    locked up
    if [[ -n $started ]]; then trap 'locked down' EXIT; fi
    # In the background, so that a signal is handled at once.
    DOCKER_HOST=$host "$@" <&0 &
    trap 'kill $! 2>/dev/null; exit 130' INT
    trap 'kill $! 2>/dev/null; exit 143' TERM
    wait $!
    ;;
  down)
    read_options "$usage" 1 "$@"
    locked down
    ;;
  keep)
    root=$2 socket=unix://$2/docker.sock parent=/$(basename "$2")
    keep
    ;;
  *)
    misused "there is no command $1$(nearest "$1" $'up\nrun\ndown')"
    ;;
esac
