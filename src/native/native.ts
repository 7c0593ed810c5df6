/** The only bun:ffi import: typed calls into the shim, each a system call that returns or throws. */
import { dlopen } from "bun:ffi";
import { closeSync, readFileSync, writeSync } from "node:fs";

import { build } from "../runtime/build.ts";
import { ProxyError } from "../runtime/errors.ts";
import shimPath from "../../ffi/zig-out/lib/libtproxy.so" with { type: "file" };
import { abiVersion, symbols } from "./abi.ts";
import { check } from "./errno.ts";

/** Bytes of the flat address: ffi/src/sockaddr.zig. */
export const addressSize = 24;

export const addressFamily = { inet: 2, inet6: 10 } as const;
export type AddressFamily = (typeof addressFamily)[keyof typeof addressFamily];

/** For the other files of this folder only: they define the symbols' types. */
export const shim = load();
assertAbi();

/** A TCP socket, close-on-exec and non-blocking. The caller closes it or hands it to Bun. */
export function openStream(of: AddressFamily): number {
  return check("socket(SOCK_STREAM)", shim.tproxy_socket(of, sockStream, 0));
}

/** A Unix socket without a name: unix(7). The caller closes it. */
export function openUnixStream(): number {
  return check("socket(AF_UNIX)", shim.tproxy_socket(afUnix, sockStream, 0));
}

/** A UDP socket for finding the kernel's source address; it sends nothing. The caller closes it. */
export function openDatagram(of: AddressFamily): number {
  return check("socket(SOCK_DGRAM)", shim.tproxy_socket(of, sockDatagram, 0));
}

/** Lets `fd` accept and originate traffic for addresses this host does not own: ip(7). */
export function setTransparent(fd: number, of: AddressFamily): void {
  check("setsockopt(IP_TRANSPARENT)", shim.tproxy_set_transparent(fd, of));
}

/** Marks every packet of `fd` and of what it accepts: socket(7), SO_MARK. */
export function setMark(fd: number, mark: number): void {
  check("setsockopt(SO_MARK)", shim.tproxy_set_integer(fd, solSocket, soMark, mark | 0));
}

/** Lets a listener bind the port while connections of an earlier one are in TIME_WAIT. */
export function setReuseAddress(fd: number): void {
  check("setsockopt(SO_REUSEADDR)", shim.tproxy_set_integer(fd, solSocket, soReuseAddress, 1));
}

/** Probes a silent peer after `idleSeconds`, then every `intervalSeconds`, `probes` times: tcp(7). */
export function setKeepAlive(
  fd: number,
  times: {
    readonly idleSeconds: number;
    readonly intervalSeconds: number;
    /** Null for the namespace's default, tcp_keepalive_probes. */
    readonly probes: number | null;
  },
): void {
  const options: (readonly [level: number, name: number, value: number])[] = [
    [solSocket, soKeepAlive, 1],
    [ipprotoTcp, tcpKeepIdle, times.idleSeconds],
    [ipprotoTcp, tcpKeepInterval, times.intervalSeconds],
  ];
  if (times.probes !== null) options.push([ipprotoTcp, tcpKeepCount, times.probes]);
  for (const [level, name, value] of options)
    check("setsockopt(SO_KEEPALIVE)", shim.tproxy_set_integer(fd, level, name, value));
}

/** Limits how long sent bytes may stay unacknowledged: tcp(7). */
export function setUserTimeout(fd: number, milliseconds: number): void {
  check(
    "setsockopt(TCP_USER_TIMEOUT)",
    shim.tproxy_set_integer(fd, ipprotoTcp, tcpUserTimeout, milliseconds),
  );
}

/** Leaves urgent data in place among the other bytes: socket(7), SO_OOBINLINE. Accepted sockets inherit it. */
export function setUrgentInline(fd: number): void {
  check("setsockopt(SO_OOBINLINE)", shim.tproxy_set_integer(fd, solSocket, soOobInline, 1));
}

/**
 * Sends packets with 255 hops left, like a neighbour: ip(7), IP_TTL; ipv6(7), IPV6_UNICAST_HOPS. Accepted sockets
 * inherit it.
 */
export function setHopsOfNeighbour(fd: number, of: AddressFamily): void {
  const [level, name] = of === addressFamily.inet ? [solIp, ipTtl] : [ipprotoIpv6, ipv6UnicastHops];
  check("setsockopt(IP_TTL)", shim.tproxy_set_integer(fd, level, name, 255));
}

/**
 * Whether close(2) sends RST, which the peer also sees when the process dies: socket(7), SO_LINGER. A closed socket
 * is no error.
 */
export function setResetOnClose(fd: number, on: boolean): void {
  shim.tproxy_set_reset_on_close(fd, Number(on));
}

/** Leaves the choice of a port to connect(2), which knows the destination: ip(7), IP_BIND_ADDRESS_NO_PORT. */
export function setBindAddressNoPort(fd: number): void {
  check(
    "setsockopt(IP_BIND_ADDRESS_NO_PORT)",
    shim.tproxy_set_integer(fd, solIp, ipBindAddressNoPort, 1),
  );
}

/** The range from which the kernel chooses ports, both ends included: ip(7), IP_LOCAL_PORT_RANGE, Linux 6.3. */
export function setLocalPortRange(fd: number, first: number, last: number): void {
  check(
    "setsockopt(IP_LOCAL_PORT_RANGE)",
    shim.tproxy_set_integer(fd, solIp, ipLocalPortRange, (last << 16) | first),
  );
}

/** bind(2) to a flat address of `addressSize` bytes. */
export function bind(fd: number, address: Uint8Array): void {
  check("bind", shim.tproxy_bind(fd, address));
}

export function listen(fd: number, backlog: number): void {
  check("listen", shim.tproxy_listen(fd, backlog));
}

/** Starts connect(2); an event on the socket reports the result. */
export function beginConnect(fd: number, address: Uint8Array): void {
  const result = shim.tproxy_connect(fd, address);
  if (result !== -einprogress) check("connect", result);
}

/** Writes getsockname(2) into `address`: under TPROXY the original destination. */
export function readLocalAddress(fd: number, address: Uint8Array): void {
  check("getsockname", shim.tproxy_local_address(fd, address));
}

/** Writes getpeername(2) into `address`. */
export function readPeerAddress(fd: number, address: Uint8Array): void {
  check("getpeername", shim.tproxy_peer_address(fd, address));
}

/** Acknowledges received data at once: tcp(7), TCP_QUICKACK. A closed socket is no error. */
export function setQuickAck(fd: number): void {
  shim.tproxy_set_integer(fd, ipprotoTcp, tcpQuickAck, 1);
}

/**
 * Copies pending data into `buffer` without consuming it: recv(2), MSG_PEEK. Returns its length, 0 at the peer's end,
 * null if there is none, or -errno for a failed socket.
 */
export function peek(fd: number, buffer: Uint8Array): number | null {
  const length = shim.tproxy_peek(fd, buffer, buffer.length);
  return length === -eagain ? null : length;
}

/**
 * Inspects many sockets at once: `into` gets two numbers each, the bytes read from it and the kernel memory of its
 * unread data. Zero for a closed socket.
 */
export function lookAtWaiting(fds: Int32Array, count: number, into: Uint32Array): void {
  check("ioctl(SIOCINQ)", shim.tproxy_waiting(fds, count, into));
}

/**
 * Limits the kernel's buffer of unread data, and the size of one read: socket(7), SO_RCVBUF. A closed socket is no
 * error.
 */
export function setReceiveBuffer(fd: number, bytes: number): void {
  shim.tproxy_set_integer(fd, solSocket, soReceiveBuffer, bytes);
}

/** IPv6 only: the port's IPv4 half stays free. ipv6(7). */
export function setIpv6Only(fd: number, only: boolean): void {
  check(
    "setsockopt(IPV6_V6ONLY)",
    shim.tproxy_set_integer(fd, ipprotoIpv6, ipv6Only, Number(only)),
  );
}

/** The state from TCP_INFO; "other" for a closed socket. */
export function tcpState(fd: number): TcpState {
  return tcpStates.get(shim.tproxy_tcp_state(fd)) ?? "other";
}

/**
 * Whether the peer's FIN has arrived after `bytes`, even if an RST followed: the kernel counts it as one byte more.
 * TCP_INFO.
 */
export function finCame(fd: number, bytes: number): boolean {
  return shim.tproxy_tcp_received(fd) === (bytes + 1) % 2 ** 31;
}

/** Another descriptor of the same socket. The caller closes it or hands it to Bun. */
export function duplicate(fd: number): number {
  return check("fcntl(F_DUPFD_CLOEXEC)", shim.tproxy_duplicate(fd));
}

export function close(fd: number): void {
  check("close", shim.tproxy_close(fd));
}

function load(): ReturnType<typeof dlopen<typeof symbols>>["symbols"] {
  using file = shimFile();
  return dlopen(file.path, symbols).symbols;
}

/**
 * A path for dlopen(3), until it is disposed of. The static executable has the shim built in, under a name of its own
 * (scripts/static/runtime/library.zig). The dynamic one contains it as a file, which Bun would extract to /tmp and
 * leave there: a file in memory (memfd_create(2)) needs no /tmp and disappears with the process in any case.
 */
export function shimFile(): Disposable & { readonly path: string } {
  if (build.flavour === "static") return { path: "libtproxy-built-in.so", [Symbol.dispose]() {} };
  const fd = shimPath.startsWith("/$bunfs/") ? inMemory(shimPath) : null;
  if (fd === null) return { path: shimPath, [Symbol.dispose]() {} };
  return {
    path: `/proc/self/fd/${fd}`,
    [Symbol.dispose]() {
      closeSync(fd);
    },
  };
}

/**
 * Copies a file of the dynamic executable into memory: its descriptor, close-on-exec; null if the kernel does not
 * support this.
 */
export function inMemory(path: string): number | null {
  const libc = dlopen("libc.so.6", { memfd_create: { args: ["ptr", "u32"], returns: "i32" } });
  const fd = libc.symbols.memfd_create(new TextEncoder().encode("tproxy\0"), closeOnExec);
  if (fd < 0) return null;
  writeSync(fd, readFileSync(path));
  return fd;
}

function assertAbi(): void {
  const found = `${shim.tproxy_abi_version()}/${shim.tproxy_address_size()}`;
  const wanted = `${abiVersion}/${addressSize}`;
  if (found === wanted) return;
  throw new ProxyError("ABI_MISMATCH", `the shim speaks ABI ${found}, this program ${wanted}`);
}

export type TcpState = "established" | "syn-sent" | "close-wait" | "listen" | "other";

/** tcp_states.h */
const tcpStates = new Map<number, TcpState>([
  [1, "established"],
  [2, "syn-sent"],
  [8, "close-wait"],
  [10, "listen"],
]);

/** memfd_create(2), MFD_CLOEXEC. */
const closeOnExec = 1;
const ipprotoTcp = 6;
const tcpKeepIdle = 4;
const tcpKeepInterval = 5;
const tcpKeepCount = 6;
const tcpQuickAck = 12;
const tcpUserTimeout = 18;
const ipprotoIpv6 = 41;
const ipv6UnicastHops = 16;
const ipv6Only = 26;
const afUnix = 1;
const sockStream = 1;
const sockDatagram = 2;
const solIp = 0;
const ipTtl = 2;
const ipBindAddressNoPort = 24;
const ipLocalPortRange = 51;
const solSocket = 1;
const soReuseAddress = 2;
const soReceiveBuffer = 8;
const soKeepAlive = 9;
const soOobInline = 10;
const soMark = 36;
const eagain = 11;
const einprogress = 115;
