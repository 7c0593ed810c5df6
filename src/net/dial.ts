/** Connections that the proxy makes itself: marked, so that they are never intercepted. */
import type { TLSOptions } from "bun";

import { Deadline } from "../deadline.ts";
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, type SocketAddress } from "./address.ts";
import { describeFault } from "./fault.ts";
import { streamHandlers } from "./handlers.ts";
import type { Intercepted } from "./listener.ts";
import { form, type SocketForm } from "./socket-form.ts";
import { Stream, type Readiness } from "./stream.ts";

/** A connect(2) that has begun; nobody watches the socket yet. */
export type Dialing = { readonly fd: number };

/** Begins to connect. Throws SystemCallError when the kernel refuses at once (no route, EMFILE). */
export function beginDial(address: SocketAddress, of: SocketForm): Dialing {
  const fd = native.openStream(address.family === 4 ? native.family.inet : native.family.inet6);
  try {
    form(fd, of);
    native.beginConnect(fd, encodeSocketAddress(address));
  } catch (error) {
    native.close(fd);
    throw error;
  }
  return { fd };
}

/** Watches the connection, and with `tls` originates TLS on it. Every failure arrives as the stream's end. */
export function watch(dialing: Dialing, tls: TLSOptions | null): Stream {
  const stream = new Stream(tls !== null, false);
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

export type Reached =
  | { readonly kind: "connected"; readonly stream: Stream }
  | { readonly kind: "failed"; readonly detail: string };

/** A plain connection to where `downstream` was going. Every failure has words for the log. */
export async function reach(
  downstream: Intercepted,
  options: { readonly form: SocketForm; readonly limits: DialLimits },
): Promise<Reached> {
  const dialing = tryDial(downstream.original, options.form);
  if (typeof dialing === "string") return { kind: "failed", detail: describeFault(dialing) };
  const stream = watch(dialing, null);
  const readiness = await settle(stream, downstream.stream, options.limits);
  if (readiness.kind === "ready") return { kind: "connected", stream };
  return { kind: "failed", detail: describeFault(readiness.fault) };
}

/** A connection begun, or the name of the kernel's refusal: no route, no descriptor. */
export function tryDial(address: SocketAddress, of: SocketForm): Dialing | string {
  try {
    return beginDial(address, of);
  } catch (error) {
    if (error instanceof SystemCallError) return errnoName(error.errno);
    throw error;
  }
}

export type DialLimits = { readonly connectMsMax: number; readonly handshakeMsMax: number };

/**
 * Waits until the leg may carry bytes. It is ended when it takes longer than `limits` allow or when `waiting`,
 * the leg it is made for, goes first.
 */
export async function settle(
  stream: Stream,
  waiting: Stream,
  limits: DialLimits,
): Promise<Readiness> {
  let settled = false;
  void waiting.gone.then(() => {
    if (!settled) stream.terminate("CANCELED");
  });
  const patience = new Patience(stream, limits);
  const readiness = await stream.ready;
  settled = true;
  patience.clear();
  return readiness;
}

/** The time for connect(2), then the time for the handshake. Bun does not tell when the first is over. */
class Patience {
  readonly #stream: Stream;
  readonly #limits: DialLimits;
  #connectMs = 0;
  #deadline: Deadline;

  constructor(stream: Stream, limits: DialLimits) {
    this.#stream = stream;
    this.#limits = limits;
    this.#deadline = this.#look();
  }

  clear(): void {
    this.#deadline.clear();
  }

  #look(): Deadline {
    const { connectMsMax, handshakeMsMax } = this.#limits;
    if (!isConnecting(this.#stream)) return handshakeDeadline(this.#stream, handshakeMsMax);
    const step = Math.min(lookMsMax, connectMsMax - this.#connectMs);
    return new Deadline(step, () => {
      this.#connectMs += step;
      const late = this.#connectMs >= connectMsMax && isConnecting(this.#stream);
      if (late) this.#stream.terminate("ETIMEDOUT");
      else this.#deadline = this.#look();
    });
  }
}

/** Ends a leg whose TLS handshake takes longer. */
export function handshakeDeadline(stream: Stream, handshakeMsMax: number): Deadline {
  return new Deadline(handshakeMsMax, () => {
    stream.terminate("HANDSHAKE_TIMEOUT");
  });
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
const lookMsMax = 500;

const dialHandlers = {
  ...streamHandlers,
  open: (socket: Bun.Socket<Stream>) => {
    socket.data.attach(socket);
  },
};
