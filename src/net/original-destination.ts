/** The addresses of an accepted socket. Under TPROXY its local address is the original destination. */
import * as native from "../native/native.ts";
import { decodeSocketAddress, type SocketAddress } from "./address.ts";

declare const brand: unique symbol;

/** The destination of the connection before interception. */
export type OriginalDestination = SocketAddress & { readonly [brand]: "OriginalDestination" };

/** getsockname(2) of a diverted socket: docs.kernel.org/networking/tproxy.html. Throws SystemCallError. */
export function originalDestination(fd: number): OriginalDestination {
  native.readLocalAddress(fd, scratch);
  return decodeSocketAddress(scratch) as OriginalDestination;
}

/** The client's address. Throws SystemCallError (ENOTCONN if it has already left). */
export function peerAddress(fd: number): SocketAddress {
  native.readPeerAddress(fd, scratch);
  return decodeSocketAddress(scratch);
}

/** Decoding copies, so one buffer serves every call. */
const scratch = new Uint8Array(native.addressSize);
