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

/** For the other files of this folder only: they give the symbols their types. */
export const shim = load();
assertAbi();

/** A TCP socket, close-on-exec and non-blocking. The caller closes it or hands it to Bun. */
export function openStream(of: AddressFamily): number {
  return check("socket(SOCK_STREAM)", shim.tproxy_socket(of, sockStream, 0));
}

/** A UDP socket: it tells from where the kernel would send, and sends nothing. The caller closes it. */
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

/** Lets a listener take the port while connections of an earlier one are in TIME_WAIT. */
export function setReuseAddress(fd: number): void {
  check("setsockopt(SO_REUSEADDR)", shim.tproxy_set_integer(fd, solSocket, soReuseAddress, 1));
}

/** Probes a silent peer after `idleSeconds`, then every `intervalSeconds`, `probes` times: tcp(7). */
export function setKeepAlive(
  fd: number,
  times: {
    readonly idleSeconds: number;
    readonly intervalSeconds: number;
    /** Null for the namespace's own number, tcp_keepalive_probes. */
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

/** Bounds how long sent bytes stay unacknowledged: tcp(7). */
export function setUserTimeout(fd: number, milliseconds: number): void {
  check(
    "setsockopt(TCP_USER_TIMEOUT)",
    shim.tproxy_set_integer(fd, ipprotoTcp, tcpUserTimeout, milliseconds),
  );
}

/** Leaves urgent data where it stands among the other bytes: socket(7), SO_OOBINLINE. Accepted sockets inherit it. */
export function setUrgentInline(fd: number): void {
  check("setsockopt(SO_OOBINLINE)", shim.tproxy_set_integer(fd, solSocket, soOobInline, 1));
}

/**
 * Sends packets as a neighbour does, with 255 hops left: ip(7), IP_TTL; ipv6(7), IPV6_UNICAST_HOPS. Accepted sockets
 * inherit it.
 */
export function setHopsOfNeighbour(fd: number, of: AddressFamily): void {
  const [level, name] = of === addressFamily.inet ? [solIp, ipTtl] : [ipprotoIpv6, ipv6UnicastHops];
  check("setsockopt(IP_TTL)", shim.tproxy_set_integer(fd, level, name, 255));
}

/**
 * Whether close(2) sends RST, which is also what the peer sees when the process dies: socket(7), SO_LINGER. A
 * socket that is gone is no error.
 */
export function setResetOnClose(fd: number, on: boolean): void {
  shim.tproxy_set_reset_on_close(fd, Number(on));
}

/** Leaves the choice of a port to connect(2), which knows the other end: ip(7), IP_BIND_ADDRESS_NO_PORT. */
export function setBindAddressNoPort(fd: number): void {
  check(
    "setsockopt(IP_BIND_ADDRESS_NO_PORT)",
    shim.tproxy_set_integer(fd, solIp, ipBindAddressNoPort, 1),
  );
}

/** From which ports the kernel chooses, both ends included: ip(7), IP_LOCAL_PORT_RANGE, Linux 6.3. */
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

/** Begins connect(2); its end is seen by whoever watches the socket. */
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

/** Acknowledges at once what has come until now: tcp(7), TCP_QUICKACK. A socket that is gone is no error. */
export function setQuickAck(fd: number): void {
  shim.tproxy_set_integer(fd, ipprotoTcp, tcpQuickAck, 1);
}

/**
 * Copies what waits to be read into `buffer` and leaves it waiting: recv(2), MSG_PEEK. Its length, 0 at the peer's
 * end, null if nothing is there, -errno of a socket that has failed.
 */
export function peek(fd: number, buffer: Uint8Array): number | null {
  const length = shim.tproxy_peek(fd, buffer, buffer.length);
  return length === -eagain ? null : length;
}

/**
 * Looks at many sockets at once: `into` gets two numbers each, bytes that were read from it and bytes of memory that the
 * kernel keeps of what was not. Zero for a socket that is gone.
 */
export function lookAtWaiting(fds: Int32Array, count: number, into: Uint32Array): void {
  check("ioctl(SIOCINQ)", shim.tproxy_waiting(fds, count, into));
}

/** Bounds what waits in the kernel to be read, and what one read brings: socket(7), SO_RCVBUF. A socket that is gone is no error. */
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

/** What TCP_INFO says of the socket; "other" for a socket that is gone. */
export function tcpState(fd: number): TcpState {
  return tcpStates.get(shim.tproxy_tcp_state(fd)) ?? "other";
}

/** Whether the peer's FIN has come after `bytes`, an RST or not: the kernel counts it as one byte more. TCP_INFO. */
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
 * What dlopen(3) opens, until it is disposed of. The static executable has the shim built in, under a name of its own
 * (scripts/static/runtime/library.zig). The dynamic one carries it as a file, and Bun would extract that to /tmp and leave
 * it there: a file in memory (memfd_create(2)) needs no /tmp and is gone with the process, however that ends.
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

/** A file of the dynamic executable as one in memory: its descriptor, close-on-exec; null where the kernel has none. */
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
