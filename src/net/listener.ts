/** Listening sockets for diverted connections, and the connections that they accept. */
import type { SocketListener, TLSOptions } from "bun";

import { ProxyError } from "../runtime/errors.ts";
import { quoteUnlessPlain } from "../runtime/log/escape.ts";
import { SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, type SocketAddress } from "./address.ts";
import { terminatingHandlers, tlsReasonOf } from "./handlers.ts";
import { LegSocket } from "./leg-socket.ts";
import {
  originalDestination,
  peerAddress,
  type OriginalDestination,
} from "./original-destination.ts";
import { socketShortage } from "./spare-sockets.ts";
import { applyOptions, type SocketOptions } from "./socket-options.ts";

/** One accepted diverted connection: paused if it is not TLS, about to start its handshake if it is. */
export type Accepted = {
  /** Without an owner yet. */
  readonly socket: LegSocket;
  readonly kind: Takes["kind"];
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
};

export type ListenOptions = {
  /** From `openDiverted`; owned by the listener from then on. */
  readonly fd: number;
  readonly backlogMax: number;
  /** Called when only the address of a connection is known; a connection that is not admitted is reset. */
  readonly admit: (peer: SocketAddress) => boolean;
  readonly takes: Takes;
  readonly accept: (accepted: Accepted) => void;
};

/** How a listener treats connections: plain, TLS, or undecided until the first bytes have been seen. */
export type Takes =
  | { readonly kind: "plain" }
  | { readonly kind: "tls"; readonly tls: TLSOptions }
  | { readonly kind: "undecided" };

export type Listener = {
  readonly stop: () => void;
  /** Whether the kernel still listens. */
  readonly alive: () => boolean;
  /** Terminates TLS with other credentials from now on; accepted connections keep theirs. */
  readonly renew: (tls: TLSOptions) => void;
};

/**
 * A socket that listens for diverted connections. IP_TRANSPARENT is set before bind(2) because the kernel's lookup
 * for `tproxy` accepts only transparent sockets (nft_tproxy.c). Throws SystemCallError with the failed call.
 */
export function openDiverted(
  address: SocketAddress,
  options: { readonly socketOptions: SocketOptions; readonly backlogMax: number },
  kind: Takes["kind"],
): number {
  // A plain listener speaks to local applications on behalf of verified servers.
  const socketOptions = { ...options.socketOptions, neighbour: kind === "plain" };
  const fd = openListening(address, { ...options, socketOptions }, true);
  if (resetsOnClose(kind)) native.setResetOnClose(fd, true);
  return fd;
}

/**
 * Data that a dying proxy has not relayed yet must not look like an orderly end; accepted sockets inherit this. A TLS
 * peer must receive the reason of a refusal: relay/leg.ts.
 */
function resetsOnClose(kind: Takes["kind"]): boolean {
  return kind !== "tls";
}

/** Serves the socket's connections. Throws CREDENTIALS_INVALID, SystemCallError; then the socket is closed. */
export function startListening(options: ListenOptions): Listener {
  const { fd } = options;
  let current = adoptOrClose(fd, options);
  return {
    stop: () => {
      current.stop();
      native.close(fd);
    },
    alive: () => native.tcpState(fd) === "listen",
    renew: (tls) => {
      if (options.takes.kind !== "tls") return;
      const before = current;
      current = adopt(fd, { ...options, takes: { kind: "tls", tls } });
      before.stop();
    },
  };
}

/** Starts and stops to serve the socket, which stays open. Throws as `startListening` does. */
export function tryListening(options: ListenOptions): void {
  adopt(options.fd, options).stop();
}

/** Both descriptors refer to the same socket and its queue, so no connection is lost between two Bun listeners. */
function adopt(fd: number, options: ListenOptions): SocketListener<LegSocket> {
  const listener = takeOver(native.duplicate(fd), options);
  try {
    native.listen(fd, options.backlogMax); // Bun has called listen(2) again with its own backlog.
    return listener;
  } catch (error) {
    listener.stop();
    throw error;
  }
}

/** `own` belongs to Bun from then on, or is closed. Throws CREDENTIALS_INVALID. */
function takeOver(own: number, options: ListenOptions): SocketListener<LegSocket> {
  try {
    return listenOn(own, options);
  } catch (error) {
    native.close(own); // Bun has refused the credentials and left the descriptor open.
    throw notServed(error);
  }
}

/**
 * Why Bun does not listen or connect: CREDENTIALS_INVALID if the TLS library does not take the credentials, SYSTEM_CALL if
 * a socket is to blame. The codes of the TLS library's errors begin with ERR_: ERR_OSSL_X509_KEY_VALUES_MISMATCH,
 * ERR_BORINGSSL. Those of the kernel have an errno, or no code at all: then the kernel is asked again.
 */
export function notServed(cause: unknown): ProxyError {
  if (!(cause instanceof Error)) return new ProxyError("SYSTEM_CALL", noReason, { cause });
  const code = "code" in cause ? cause.code : "";
  const errno = "errno" in cause ? cause.errno : 0;
  if (typeof code === "string" && code.startsWith("ERR_")) {
    const reason = tlsReasonOf(cause.message) || quoteUnlessPlain(cause.message);
    return new ProxyError("CREDENTIALS_INVALID", `${notTaken}: ${reason}`, { cause });
  }
  if (typeof errno === "number" && errno !== 0)
    return new SystemCallError("listen", Math.abs(errno));
  return socketShortage(socketsNeeded) ?? new ProxyError("SYSTEM_CALL", noReason, { cause });
}

function adoptOrClose(fd: number, options: ListenOptions): SocketListener<LegSocket> {
  try {
    return adopt(fd, options);
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/** Throws the TLS library's error if it refuses the credentials. */
function listenOn(fd: number, options: ListenOptions): SocketListener<LegSocket> {
  const { takes } = options;
  return Bun.listen<LegSocket>({
    fd,
    allowHalfOpen: true,
    ...(takes.kind === "tls" ? { tls: takes.tls } : {}),
    socket: {
      ...terminatingHandlers,
      open: (socket) => {
        const accepted = new LegSocket(takes.kind !== "plain");
        socket.data = accepted;
        accepted.attach(socket, resetsOnClose(takes.kind));
        if (takes.kind !== "tls") accepted.pause();
        announce(accepted, options);
      },
    },
  });
}

/** A bound, listening socket, owned by the caller. `transparent`: accepts diverted connections. */
export function openListening(
  address: SocketAddress,
  options: { readonly socketOptions: SocketOptions; readonly backlogMax: number },
  transparent: boolean,
): number {
  const of = address.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
  const fd = native.openStream(of);
  try {
    native.setReuseAddress(fd);
    if (of === native.addressFamily.inet6) native.setIpv6Only(fd, transparent);
    if (transparent) native.setTransparent(fd, of);
    applyOptions(fd, options.socketOptions, of);
    native.bind(fd, encodeSocketAddress(address));
    native.listen(fd, options.backlogMax);
  } catch (error) {
    native.close(fd);
    throw error;
  }
  return fd;
}

/** A connection whose client has already left has no address: it ends here. */
function announce(socket: LegSocket, { takes: { kind }, admit, accept }: ListenOptions): void {
  try {
    const peer = peerAddress(socket.fd);
    if (!admit(peer)) socket.cut();
    else accept({ socket, kind, peer, original: originalDestination(socket.fd) });
  } catch (error) {
    socket.cut();
    if (!(error instanceof SystemCallError)) throw error;
  }
}

/** A listener, a client and the accepted end of its connection. */
const socketsNeeded = 3;
const noReason = "a socket cannot be opened, and Bun does not say why: is memory short?";
const notTaken = "the TLS library does not take them";
