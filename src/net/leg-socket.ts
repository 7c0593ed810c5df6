/** A socket of Bun's, plain or TLS, as a leg uses it: Bun's and the kernel's ways of ending one stand here. */
import type { Socket, TLSOptions } from "bun";

import * as native from "../native/native.ts";
import { terminatingHandlers } from "./handlers.ts";

/** What happens to a socket is reported here: a leg (relay/leg.ts), or nobody. */
export type SocketOwner = {
  /** It has ended the socket, or knows that it is gone. */
  readonly closed: boolean;
  readonly onData: (chunk: Uint8Array) => void;
  readonly onDrain: () => void;
  /** Connected, or the handshake is over. `failed`: it has come to nothing, and the TLS library has sent an alert. */
  readonly onReady: (handshakeError: string | null, failed: boolean) => void;
  /** The socket has failed, by an RST mostly. */
  readonly onWriteFailed: () => void;
  readonly onEnd: () => void;
  /** A fault of the socket's, which goes on or closes after it. */
  readonly onFault: (fault: string) => void;
  /** `fault`: code of what closed it, "" if nothing did or it is not known. */
  readonly onClose: (fault: string) => void;
};

export class LegSocket {
  owner: SocketOwner = nobody;
  /** Of one that originates TLS: the session ticket that it begins with, and what takes those that come. */
  ticket: Buffer | null = null;
  keepTicket: ((ticket: Buffer) => void) | null = null;
  /** Of one that terminates TLS: protocols that the application speaks, best first, for ALPN. */
  spoken: readonly string[] = [];
  #bun: Socket<LegSocket> | null = null;
  #tls: boolean;
  #paused = false;
  #isNarrow = false;
  /** Whether close(2) sends RST, as far as is known: each change is a system call. */
  #resets: boolean | null = null;

  /** `tls`: it is TLS, or it is not known yet whether it is to be: `startPlain` or `startTls` follows. */
  constructor(tls: boolean) {
    this.#tls = tls;
  }

  /** Null before the socket exists and after it is gone. */
  get bun(): Socket<LegSocket> | null {
    return this.#bun;
  }

  /** -1 before the socket exists and after it is gone. */
  get fd(): number {
    return this.#bun?.fd ?? -1;
  }

  get tls(): boolean {
    return this.#tls;
  }

  /** What was agreed on by ALPN (RFC 7301), "" for nothing. */
  get protocol(): string {
    const protocol = this.#bun?.alpnProtocol;
    return typeof protocol === "string" ? protocol : "";
  }

  /** Whether the TLS session was resumed (RFC 8446, 2.2). */
  get isResumed(): boolean {
    return this.#bun?.isSessionReused() ?? false;
  }

  /** Gives it the socket of Bun's; one whose owner has ended it meanwhile is ended. `resets`: close(2) sends RST; null: not known. */
  attach(socket: Socket<LegSocket>, resets: boolean | null = null): void {
    this.#resets = resets;
    if (this.owner.closed) socket.terminate();
    else this.#bun = socket;
  }

  startPlain(): void {
    this.#tls = false;
  }

  /** TLS is terminated here from now on: `onReady` says how the handshake went. */
  startTls(tls: TLSOptions): void {
    if (this.#bun === null) return;
    // A peer that is refused is to hear why.
    this.resetOnClose(false);
    const [raw, secure] = this.#bun.upgradeTLS<LegSocket>({
      data: this,
      tls,
      socket: terminatingHandlers,
    });
    // It gets a copy of all that is encrypted.
    raw.data = bystander;
    this.#bun = secure;
    this.#paused = false;
    raw.resume();
  }

  /** False if it was paused already. */
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

  /** The kernel keeps little of what is not read from now on: SO_RCVBUF. */
  narrow(bytes: number): void {
    if (this.#isNarrow) return;
    this.#isNarrow = true;
    native.setReceiveBuffer(this.fd, bytes);
  }

  /** Returns how many bytes were taken. */
  write(chunk: Uint8Array): number {
    const written = this.#bun?.write(chunk) ?? 0;
    if (written >= 0) return written;
    this.owner.onWriteFailed();
    return 0;
  }

  /**
   * Sends the end of our direction: FIN, on TLS close_notify before it. shutdown() does that, and reading goes on. Bun's
   * end() closes a plain socket whole, so it is for one whose peer has ended; on TLS it would leave the FIN out, and a
   * socket that is paused after it is closed by Bun 1.4.5.
   */
  sendEnd(peerHasEnded: boolean): void {
    this.resetOnClose(false);
    if (peerHasEnded) this.#bun?.end();
    else this.#bun?.shutdown();
  }

  /** As `sendEnd`, with close(2) as it is: a peer that is not served gets what the TLS library has to say to it (an alert). */
  shutdown(): void {
    this.#bun?.shutdown();
  }

  end(): void {
    this.#bun?.end();
  }

  /** Ends it by RST, at once. Bun's terminate() alone sends FIN on a TLS socket whose handshake is not over. */
  cut(): void {
    this.resetOnClose(true);
    const socket = this.#bun;
    this.#bun = null;
    socket?.terminate();
  }

  /** Whether the kernel sends RST when the socket is closed, also because the process dies: SO_LINGER. */
  resetOnClose(on: boolean): void {
    const { fd } = this;
    if (fd < 0 || this.#resets === on) return;
    this.#resets = on;
    native.setResetOnClose(fd, on);
  }

  /**
   * Whether what looks like the peer's end after a failed write is none. On a plain socket send(2) has taken the RST's
   * error with it: recv(2) gives what came before, and then 0. A FIN that came before the RST is an end, and the kernel
   * counts it. An RST of a TLS peer's Bun reports by `close`, even then.
   */
  endIsReset(bytesRead: number): boolean {
    return !this.#tls && !native.finCame(this.fd, bytesRead);
  }

  /** For Bun's handlers and a failed connect. */
  onClose(fault: string): void {
    this.#bun = null;
    this.owner.onClose(fault);
  }
}

const nothing = (): void => undefined;
const nobody: SocketOwner = {
  closed: false,
  onData: nothing,
  onDrain: nothing,
  onReady: nothing,
  onWriteFailed: nothing,
  onEnd: nothing,
  onFault: nothing,
  onClose: nothing,
};
/** Takes what happens to a socket and does nothing. */
const bystander = new LegSocket(true);
