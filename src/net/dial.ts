/** Connections that the proxy makes itself: marked, so that they are never intercepted. */
import type { TLSOptions } from "bun";

import { Deadline } from "../runtime/deadline.ts";
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, portedAs, type SocketAddress } from "./address.ts";
import { describeFault } from "./fault.ts";
import { streamHandlers } from "./handlers.ts";
import type { Held } from "./held.ts";
import { HandshakeDeadline } from "./handshake-deadline.ts";
import { bindOrigin, type Origin } from "./origin.ts";
import type { Rotation } from "./ports.ts";
import { applyOptions, type SocketOptions } from "./socket-options.ts";
import { Stream, type Readiness } from "./stream.ts";

/** A connect(2) that has begun; nobody watches the socket yet. */
export type Dialing = { readonly fd: number };

/** Begins to connect, from where `origin` says. Throws SystemCallError when the kernel refuses at once (no route, EMFILE). */
export function beginDial(address: SocketAddress, of: SocketOptions, origin: Origin): Dialing {
  const fd = native.openStream(familyOf(address));
  try {
    applyOptions(fd, of, familyOf(address));
    bindOrigin(fd, origin);
    // Not before bind(2), which is to refuse addresses of others. What arrives is known as ours by it: inbound-rules.ts.
    if (of.mark !== null && origin.kind !== "client") native.setTransparent(fd, familyOf(address));
    native.beginConnect(fd, encodeSocketAddress(address));
  } catch (error) {
    native.close(fd);
    throw error;
  }
  return { fd };
}

function familyOf({ family }: SocketAddress): native.AddressFamily {
  return family === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
}

export type Originating = {
  readonly tls: TLSOptions;
  /** Of a session that is to be resumed. */
  readonly ticket: Buffer | null;
};

/**
 * Watches the connection, and with `originating` originates TLS on it. Every failure arrives as the stream's end. `held` is
 * where bytes count that the leg holds.
 */
export function watch(dialing: Dialing, originating: Originating | null, held: Held): Stream {
  const tls = originating?.tls ?? null;
  const stream = new Stream(tls !== null, false, held);
  stream.ticket = originating?.ticket ?? null;
  const connecting = Bun.connect<Stream>({
    fd: dialing.fd,
    data: stream,
    allowHalfOpen: true,
    ...(tls === null ? {} : { tls }),
    socket: dialHandlers,
  });
  void connecting.catch((error: unknown) => {
    stream.onClose(String(error));
  });
  return stream;
}

/** A connection begun, or the name of the kernel's refusal: no route, no descriptor, no port. */
export function tryDial(
  address: SocketAddress,
  of: SocketOptions,
  origin: Origin,
): Dialing | string {
  try {
    return beginDial(address, of, origin);
  } catch (error) {
    if (error instanceof SystemCallError) return errnoName(error.errno);
    throw error;
  }
}

export type DialedFrom = {
  readonly dialing: Dialing | string;
  /** Its port on the wire is one that no application here is given. */
  readonly distinctPort: boolean;
};

/**
 * A connection begun from the application's own address, by one of `ports`; by any port where those are used up, and from
 * any address where that one is not ours.
 */
export function dialFrom(
  source: SocketAddress,
  to: SocketAddress,
  { socketOptions: of, ports }: { readonly socketOptions: SocketOptions; readonly ports: Rotation },
): DialedFrom {
  for (let turn = 0; turn < portsTried; turn += 1) {
    const port = ports.next();
    if (port === null) break;
    const dialing = tryDial(to, of, { kind: "own", address: portedAs(source, port) });
    if (!isUnbindable(dialing)) return { dialing, distinctPort: true };
  }
  const dialing = tryDial(to, of, { kind: "own", address: portedAs(source, 0) });
  if (!isUnbindable(dialing)) return { dialing, distinctPort: false };
  return { dialing: tryDial(to, of, { kind: "any" }), distinctPort: false };
}

/** The port is another's, or waits after its last connection to the same place; or the address is not ours. */
function isUnbindable(dialing: Dialing | string): boolean {
  return dialing === "EADDRINUSE" || dialing === "EADDRNOTAVAIL";
}

/** Each costs a socket. */
const portsTried = 8;

export type DialLimits = { readonly connectMsMax: number; readonly handshakeMsMax: number };

/** What became of a leg, and in words what ended it. */
export type Settled =
  | Extract<Readiness, { readonly kind: "ready" }>
  | (Extract<Readiness, { readonly kind: "closed" }> & { readonly detail: string });

/**
 * Waits until the leg may carry bytes. It is ended when it takes longer than `limits` allow or when `waiting`,
 * the leg it is made for, goes first.
 */
export async function settle(
  stream: Stream,
  waiting: Stream,
  limits: DialLimits,
): Promise<Settled> {
  let settled = false;
  void waiting.gone.then(() => {
    if (!settled) stream.terminate("CANCELED");
  });
  const patience = new Patience(stream, limits);
  const readiness = await stream.ready;
  settled = true;
  patience.clear();
  if (readiness.kind === "ready") return readiness;
  return { ...readiness, detail: patience.describe(readiness.fault) };
}

/**
 * The time for connect(2), then the time for the handshake. Bun does not tell when the first is over; most legs are ready
 * before the first look.
 */
class Patience {
  readonly #stream: Stream;
  readonly #limits: DialLimits;
  #connectMs = 0;
  #deadline: Deadline | HandshakeDeadline;

  constructor(stream: Stream, limits: DialLimits) {
    this.#stream = stream;
    this.#limits = limits;
    this.#deadline = this.#wait(firstLookMsMax);
  }

  clear(): void {
    this.#deadline.clear();
  }

  describe(fault: string): string {
    const deadline = this.#deadline;
    return deadline instanceof HandshakeDeadline ? deadline.describe(fault) : describeFault(fault);
  }

  #look(): Deadline | HandshakeDeadline {
    const { handshakeMsMax } = this.#limits;
    if (!isConnecting(this.#stream))
      return new HandshakeDeadline(this.#stream, handshakeMsMax, "client");
    return this.#wait(lookMsMax);
  }

  #wait(msMax: number): Deadline {
    const { connectMsMax } = this.#limits;
    const step = Math.min(msMax, connectMsMax - this.#connectMs);
    return new Deadline(step, () => {
      this.#connectMs += step;
      const late = this.#connectMs >= connectMsMax && isConnecting(this.#stream);
      if (late) this.#stream.terminate("ETIMEDOUT");
      else this.#deadline = this.#look();
    });
  }
}

function isConnecting(stream: Stream): boolean {
  const fd = stream.socket?.fd ?? -1;
  return fd < 0 || native.tcpState(fd) === "syn-sent";
}

/** Gives up a connection that nobody watches. */
export function abandon(dialing: Dialing): void {
  native.close(dialing.fd);
}

/** How late it may be noticed that a connection has been made. */
const firstLookMsMax = 100;
const lookMsMax = 500;

const dialHandlers = {
  ...streamHandlers,
  open: (socket: Bun.Socket<Stream>) => {
    const { ticket } = socket.data;
    socket.data.ticket = null;
    socket.data.attach(socket);
    if (ticket !== null && !socket.data.closed) socket.setSession(ticket);
  },
  session: (socket: Bun.Socket<Stream>, ticket: Buffer) => {
    // A resumed session of TLS 1.2 has no forward secrecy.
    if (socket.getTLSVersion() === "TLSv1.3") socket.data.keepTicket?.(ticket);
  },
};
