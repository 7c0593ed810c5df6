/** The only bun:ffi import: typed calls into the shim, each a system call that returns or throws. */
import { dlopen } from "bun:ffi";

import { ProxyError } from "../errors.ts";
import shimPath from "../../ffi/zig-out/lib/libtproxy.so" with { type: "file" };
import { abiVersion, symbols } from "./abi.ts";
import { check } from "./errno.ts";

/** Bytes of the flat address: ffi/src/sockaddr.zig. */
export const addressSize = 24;

export const family = { inet: 2, inet6: 10 } as const;
export type Family = (typeof family)[keyof typeof family];

const shim = dlopen(shimPath, symbols).symbols;
assertAbi();

/** A TCP socket, close-on-exec and non-blocking. The caller closes it or hands it to Bun. */
export function openStream(of: Family): number {
  return check("socket(SOCK_STREAM)", shim.tproxy_socket(of, sockStream, 0));
}

/** Lets `fd` accept and originate traffic for addresses this host does not own: ip(7). */
export function setTransparent(fd: number, of: Family): void {
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

export function close(fd: number): void {
  check("close", shim.tproxy_close(fd));
}

function assertAbi(): void {
  const found = `${shim.tproxy_abi_version()}/${shim.tproxy_address_size()}`;
  const wanted = `${abiVersion}/${addressSize}`;
  if (found === wanted) return;
  throw new ProxyError("ABI_MISMATCH", `the shim speaks ABI ${found}, this program ${wanted}`);
}

const sockStream = 1;
const solSocket = 1;
const soReuseAddress = 2;
const soMark = 36;
const einprogress = 115;
