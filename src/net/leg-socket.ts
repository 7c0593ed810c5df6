/** A Bun socket, plain or TLS, as a leg uses it: contains the peculiarities of Bun and the kernel when one ends. */
import type { Socket, TLSOptions } from "bun";

import * as native from "../native/native.ts";
import type { Fault } from "./fault.ts";
import { terminatingHandlers } from "./handlers.ts";

/** Receives the events of a socket: a leg (relay/leg.ts), or a no-op. */
export type SocketOwner = {
  /** It has ended the socket, or knows that it is closed. */
  readonly closed: boolean;
  readonly onData: (chunk: Uint8Array) => void;
  readonly onDrain: () => void;
  /** Connected, or the handshake is complete. `failed`: it has failed, and the TLS library has sent an alert. */
  readonly onReady: (handshakeError: Fault | null, failed: boolean) => void;
  /** A write has failed, usually because of an RST. */
  readonly onWriteFailed: () => void;
  readonly onEnd: () => void;
  /** A fault of the socket, which continues or closes after it. */
  readonly onFault: (fault: Fault) => void;
  /** `fault`: the code of what closed it, "" if there was no error or it is unknown. */
  readonly onClose: (fault: Fault) => void;
};

export class LegSocket {
  owner: SocketOwner = noOwner;
  /** For an originating socket: the session ticket to start with, and the receiver of new ones. */
  ticket: Buffer | null = null;
  keepTicket: ((ticket: Buffer) => void) | null = null;
  /** For a terminating socket: the application's protocols, best first, for ALPN. */
  spoken: readonly string[] = [];
  #bun: Socket<LegSocket> | null = null;
  #tls: boolean;
  #paused = false;
  #isNarrow = false;
  /** Whether close(2) sends RST, as far as is known: each change is a system call. */
  #resets: boolean | null = null;

  /** `tls`: it is TLS, or undecided: `startPlain` or `startTls` follows. */
  constructor(tls: boolean) {
    this.#tls = tls;
  }

  /** Null before the socket exists and after it is closed. */
  get bun(): Socket<LegSocket> | null {
    return this.#bun;
  }

  /** -1 before the socket exists and after it is closed. */
  get fd(): number {
    return this.#bun?.fd ?? -1;
  }

  get tls(): boolean {
    return this.#tls;
  }

  /** The protocol negotiated by ALPN (RFC 7301), "" for none. */
  get protocol(): string {
    const protocol = this.#bun?.alpnProtocol;
    return typeof protocol === "string" ? protocol : "";
  }

  /** Whether the TLS session was resumed (RFC 8446, 2.2). */
  get isResumed(): boolean {
    return this.#bun?.isSessionReused() ?? false;
  }

  /**
   * Attaches the Bun socket; ends it if the owner has ended this one meanwhile. `resets`: close(2) sends RST; null:
   * unknown.
   */
  attach(socket: Socket<LegSocket>, resets: boolean | null = null): void {
    this.#resets = resets;
    if (this.owner.closed) socket.terminate();
    else this.#bun = socket;
  }

  startPlain(): void {
    this.#tls = false;
  }

  /** Terminates TLS here from now on: `onReady` reports the handshake's result. */
  startTls(tls: TLSOptions): void {
    if (this.#bun === null) return;
    // A refused peer must receive the reason.
    this.resetOnClose(false);
    const [raw, secure] = this.#bun.upgradeTLS<LegSocket>({
      data: this,
      tls,
      socket: terminatingHandlers,
    });
    // It receives a copy of all encrypted data.
    raw.data = bystander;
    this.#bun = secure;
    this.#paused = false;
    raw.resume();
  }

  /** False if it was already paused. */
  pause(): boolean {
    if (this.#paused) return false;
    this.#paused = true;
    this.#bun?.pause();
    return true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#bun?.resume();
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Makes the kernel buffer little unread data from now on: SO_RCVBUF. */
  narrow(bytes: number): void {
    if (this.#isNarrow) return;
    this.#isNarrow = true;
    native.setReceiveBuffer(this.fd, bytes);
  }

  /** Returns how many bytes were accepted. */
  write(chunk: Uint8Array): number {
    const written = this.#bun?.write(chunk) ?? 0;
    if (written >= 0) return written;
    this.owner.onWriteFailed();
    return 0;
  }

  /**
   * Sends the end of our direction: FIN, on TLS close_notify before it. shutdown() does that, and reading continues.
   * Bun's end() closes a plain socket completely, so it is only for one whose peer has ended; on TLS it would omit
   * the FIN, and Bun 1.4.5 closes a socket that is paused after it.
   */
  sendEnd(peerHasEnded: boolean): void {
    this.resetOnClose(false);
    if (peerHasEnded) this.#bun?.end();
    else this.#bun?.shutdown();
  }

  /**
   * Like `sendEnd`, but keeps close(2) unchanged: a refused peer receives the TLS library's last message (an alert).
   */
  shutdown(): void {
    this.#bun?.shutdown();
  }

  end(): void {
    this.#bun?.end();
  }

  /** Ends it by RST, at once. Bun's terminate() alone sends FIN on a TLS socket during its handshake. */
  cut(): void {
    this.resetOnClose(true);
    const socket = this.#bun;
    this.#bun = null;
    socket?.terminate();
  }

  /** Whether the kernel sends RST when the socket is closed, also by the process's death: SO_LINGER. */
  resetOnClose(on: boolean): void {
    const { fd } = this;
    if (fd < 0 || this.#resets === on) return;
    this.#resets = on;
    native.setResetOnClose(fd, on);
  }

  /**
   * Whether the apparent end of the peer after a failed write is not one. On a plain socket send(2) has consumed the
   * RST's error: recv(2) returns the data before it, and then 0. A FIN before the RST is a real end, and the kernel
   * counts it. For a TLS peer Bun reports an RST by `close`, even then.
   */
  endIsReset(bytesRead: number): boolean {
    return !this.#tls && !native.finCame(this.fd, bytesRead);
  }

  /** For Bun's handlers and a failed connect. */
  onClose(fault: Fault): void {
    this.#bun = null;
    this.owner.onClose(fault);
  }
}

const nothing = (): void => undefined;
const noOwner: SocketOwner = {
  closed: false,
  onData: nothing,
  onDrain: nothing,
  onReady: nothing,
  onWriteFailed: nothing,
  onEnd: nothing,
  onFault: nothing,
  onClose: nothing,
};
/** An owner that ignores all events. */
const bystander = new LegSocket(true);
