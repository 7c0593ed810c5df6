/** Listening sockets that the kernel diverts connections to, and what they yield. */
import type { SocketListener, TLSOptions } from "bun";

import { ProxyError } from "../runtime/errors.ts";
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
import { applyOptions, type SocketOptions } from "./socket-options.ts";

/** One diverted connection, as accepted: one that is not TLS is paused, one of TLS is about to shake hands. */
export type Accepted = {
  /** Without an owner. */
  readonly socket: LegSocket;
  readonly kind: Takes["kind"];
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
};

export type ListenOptions = {
  /** Of `openDiverted`; the listener's from then on. */
  readonly fd: number;
  readonly backlogMax: number;
  /** Asked before anything but its address is known of a connection; what is not admitted is reset. */
  readonly admit: (peer: SocketAddress) => boolean;
  readonly takes: Takes;
  readonly accept: (accepted: Accepted) => void;
};

/** What a listener makes of connections: plain ones, TLS, or undecided ones, of which it is not known yet whether they are to be TLS. */
export type Takes =
  | { readonly kind: "plain" }
  | { readonly kind: "tls"; readonly tls: TLSOptions }
  | { readonly kind: "undecided" };

export type Listener = {
  readonly stop: () => void;
  /** Whether the kernel still listens. */
  readonly alive: () => boolean;
  /** Terminates TLS by other credentials from now on; connections that were accepted keep theirs. */
  readonly renew: (tls: TLSOptions) => void;
};

/**
 * A socket that listens for diverted connections. IP_TRANSPARENT is set before bind(2) because the kernel's lookup for
 * `tproxy` takes transparent sockets only (nft_tproxy.c). Throws SystemCallError with the call that failed.
 */
export function openDiverted(
  address: SocketAddress,
  options: { readonly socketOptions: SocketOptions; readonly backlogMax: number },
  kind: Takes["kind"],
): number {
  // A plain one speaks to applications here, for servers that have been verified.
  const socketOptions = { ...options.socketOptions, neighbour: kind === "plain" };
  const fd = openListening(address, { ...options, socketOptions }, true);
  if (resetsOnClose(kind)) native.setResetOnClose(fd, true);
  return fd;
}

/**
 * What a dying proxy has not relayed yet is cut, too; accepted sockets inherit it. A TLS peer is to hear why it is refused:
 * relay/leg.ts.
 */
function resetsOnClose(kind: Takes["kind"]): boolean {
  return kind !== "tls";
}

/** Serves what comes to the socket. Throws CREDENTIALS_INVALID, SystemCallError; then the socket is closed. */
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

/** The queue of connections belongs to the socket, which both descriptors are: none is lost between two of Bun's. */
function adopt(fd: number, options: ListenOptions): SocketListener<LegSocket> {
  const listener = takeOver(native.duplicate(fd), options);
  try {
    native.listen(fd, options.backlogMax); // Bun has listened again with a backlog of its own.
    return listener;
  } catch (error) {
    listener.stop();
    throw error;
  }
}

/** `own` is Bun's from then on, or closed. Throws CREDENTIALS_INVALID. */
function takeOver(own: number, options: ListenOptions): SocketListener<LegSocket> {
  try {
    return listenOn(own, options);
  } catch (error) {
    native.close(own); // Bun has refused the credentials and left the descriptor.
    throw credentialsRefused(error);
  }
}

/** What the TLS library says of credentials, as CREDENTIALS_INVALID. */
export function credentialsRefused(cause: unknown): ProxyError {
  const reason = cause instanceof Error ? tlsReasonOf(cause.message) : "";
  return new ProxyError("CREDENTIALS_INVALID", `${notTaken}: ${reason}`, { cause });
}

function adoptOrClose(fd: number, options: ListenOptions): SocketListener<LegSocket> {
  try {
    return adopt(fd, options);
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/** Throws what the TLS library says of credentials that it does not take. */
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

/** A bound, listening socket; the caller owns it. `transparent`: takes diverted connections. */
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

/** A connection whose client has gone again has no address: it ends here. */
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

const notTaken = "the TLS library does not take them";
