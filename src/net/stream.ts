/** One leg of a connection: a Bun socket, plain or TLS, with its back-pressure and its endings. */
import type { Socket, TLSOptions } from "bun";

import { Deadline } from "../runtime/deadline.ts";
import * as native from "../native/native.ts";
import { terminatingHandlers } from "./handlers.ts";
import { HeldQueue, unbounded, type Held } from "./held.ts";
import type { Screen } from "./screen.ts";

/** What became of a leg's set-up. For TLS, "ready" is not authorisation: tls/verify.ts decides. */
export type Readiness =
  | {
      readonly kind: "ready";
      readonly handshakeError: string | null;
      /** Of a leg that terminates TLS: the handshake has come to nothing, and the TLS library has sent an alert. */
      readonly failed: boolean;
    }
  | { readonly kind: "closed"; readonly fault: string };

/** How a leg ended. `cut`: without its orderly end (RST, time-out, refusal). */
export type Ending = "open" | "clean" | "cut";

/**
 * A leg. Bytes that arrive go to `partner`; what its kernel buffer does not take is held here and the
 * partner paused, so at most one read of Bun's (512 KiB) and what was decrypted with it waits.
 */
export class Stream {
  /** Connected, and for TLS through the handshake; or closed before that. */
  readonly ready: Promise<Readiness>;
  /** The socket is gone; nothing follows. */
  readonly gone: Promise<void>;
  bytesRead = 0;
  bytesWritten = 0;
  ending: Ending = "open";
  /** Of a leg that originates TLS: the session ticket that it begins with, and who wants those that come. */
  ticket: Buffer | null = null;
  keepTicket: ((ticket: Buffer) => void) | null = null;
  /** Of a leg that terminates TLS: protocols that the application speaks, best first, for ALPN. */
  spoken: readonly string[] = [];
  /** Code of what cut the leg, "" if nothing did or it is not known. */
  fault = "";

  readonly #settleReady: (readiness: Readiness) => void;
  readonly #settleGone: () => void;
  #socket: Socket<Stream> | null = null;
  #partner: Stream | null = null;
  #screen: Screen | null = null;
  #linger: Deadline | null = null;
  #lingerMsMax = 0;
  /** Read before there was a partner: bytes that came with the last handshake record. */
  readonly #early: HeldQueue;
  readonly #held: HeldQueue;
  readonly #total: Held;
  #isNarrow = false;
  /** Bytes of the proxy's own that are not written yet; they go before all others. */
  #own = 0;
  #readEnded = false;
  #writeEnded = false;
  #endWanted = false;
  /** A write has failed: what looks like the peer's end may be none. */
  #broken = false;
  #tls: boolean;
  #writable: boolean;
  #paused = false;
  /** Of whoever waits in `take`. */
  #wake: () => void = nothing;
  #dismissed = false;
  /** Whether close(2) sends RST, as far as is known: each change is a system call. */
  #resets: boolean | null = null;

  /** `writable`: whether bytes may be written at once (an accepted plain socket). `total`: where held bytes count. */
  constructor(tls: boolean, writable: boolean, total: Held = unbounded) {
    const ready = Promise.withResolvers<Readiness>();
    const gone = Promise.withResolvers<void>();
    this.#tls = tls;
    this.#total = total;
    this.#early = new HeldQueue(total);
    this.#held = new HeldQueue(total);
    if (tls) this.#held.overheadBytes = total.encryptedBytesMax;
    this.ready = ready.promise;
    this.gone = gone.promise;
    this.#settleReady = ready.resolve;
    this.#settleGone = gone.resolve;
    this.#writable = writable;
  }

  /** An accepted leg of which it is not known yet whether it is to be TLS: `startPlain` or `startTls` follows. */
  static undecided(total: Held = unbounded): Stream {
    return new Stream(true, false, total);
  }

  /** Takes what happens to a socket and does nothing. */
  static bystander(): Stream {
    const stream = new Stream(true, false);
    stream.#dismissed = true;
    return stream;
  }

  get closed(): boolean {
    return this.ending !== "open";
  }

  /** Bytes that wait for this leg's kernel buffer. */
  get heldBytes(): number {
    return this.#held.bytes;
  }

  /** What the leg counts in the sum of held bytes. */
  get countedBytes(): number {
    return this.#held.countedBytes + this.#early.countedBytes;
  }

  /** Null before the socket exists and after it is gone. */
  get socket(): Socket<Stream> | null {
    return this.#socket;
  }

  /** Gives the leg its socket; one that was ended meanwhile ends the socket. `resets`: close(2) sends RST; null: not known. */
  attach(socket: Socket<Stream>, resets: boolean | null = null): void {
    this.#resets = resets;
    if (this.closed) socket.terminate();
    else this.#socket = socket;
  }

  /** An undecided leg is a plain one: it is ready. */
  startPlain(): void {
    this.#tls = false;
    this.#held.overheadBytes = 0;
    this.onReady(null);
  }

  /** An undecided leg is a plain one of which `screen` says what passes, from now on: it is read at once. */
  startScreened(screen: Screen): void {
    this.#screen = screen;
    this.startPlain();
    this.resume();
  }

  /** An undecided leg is TLS, terminated here: `ready` says how the handshake went. */
  startTls(tls: TLSOptions): void {
    const socket = this.#socket;
    if (socket === null) return;
    // A peer that is refused is to hear why.
    this.#resetOnClose(false);
    const [raw, secure] = socket.upgradeTLS<Stream>({
      data: this,
      tls,
      socket: terminatingHandlers,
    });
    // It gets a copy of all that is encrypted.
    raw.data = bystander;
    this.#socket = secure;
    this.#paused = false;
    raw.resume();
  }

  /**
   * From now on bytes of either leg go to the other, first those that came before. Once both directions have
   * ended, each socket has `lingerMsMax` to be gone. Where one leg is gone already the other is ended.
   */
  join(partner: Stream, lingerMsMax: number): void {
    this.#meet(partner, lingerMsMax);
    partner.#meet(this, lingerMsMax);
    if (this.closed) partner.terminate("");
    if (partner.closed) this.terminate("");
    this.#handOver(partner);
    partner.#handOver(this);
  }

  /** Something of the proxy's own that goes before all that the partner has. No byte of the application's. */
  say(bytes: Uint8Array): void {
    this.#own += bytes.length;
    this.#send(bytes);
  }

  /**
   * Takes what came first, before there is a partner: as many bytes as `lengthOf` says of those that have come. Null if
   * the leg ends before. Reading goes on until they are there, so the caller has a deadline.
   */
  async take(lengthOf: (come: Uint8Array) => number): Promise<Uint8Array | null> {
    for (;;) {
      const come = Buffer.concat(this.#early.chunks);
      const length = lengthOf(come);
      if (come.length >= length) return this.#cut(come, length);
      if (this.closed || this.#readEnded) return null;
      // oxlint-disable-next-line no-await-in-loop -- one read after the other
      await this.#more();
    }
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket?.pause();
    if (this.#broken) this.terminate("ECONNRESET");
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** One read brings little from now on, and the kernel keeps little of what is not read: memory is short. */
  narrow(): void {
    if (this.#isNarrow) return;
    this.#isNarrow = true;
    native.setReceiveBuffer(this.#socket?.fd ?? -1, this.#total.narrowReceiveBytes);
  }

  /** Ends the leg and the one it is joined with, by RST, at once. */
  terminate(fault: string): void {
    if (this.closed) return;
    const socket = this.#socket;
    // Bun's terminate() sends FIN on a TLS socket whose handshake is not over.
    this.#resetOnClose(true);
    this.#close("cut", fault);
    socket?.terminate();
    this.#partner?.terminate("");
  }

  /**
   * Lets a peer go that will not be served: what the TLS library has to say to it (an alert) arrives, because
   * what it sends meanwhile is read and dropped. A close with unread bytes would be an RST that can overtake
   * the alert. Resolves when the socket is gone, after `msMax` at the latest.
   */
  async dismiss(msMax: number): Promise<void> {
    const deadline = new Deadline(msMax, () => {
      this.terminate("");
    });
    this.#dismissed = true;
    this.#early.clear();
    this.#socket?.shutdown();
    this.resume();
    await this.gone;
    deadline.clear();
  }

  /** For Bun's handlers only, as are those below. */
  onData(chunk: Uint8Array): void {
    this.bytesRead += chunk.length;
    if (this.#dismissed) return;
    if (this.#screen === null) this.#pass(chunk);
    else this.#passScreened(this.#screen.pass(chunk));
  }

  onDrain(): void {
    if (!this.#writable && !this.#tls) this.onReady(null);
    if (this.#partner !== null) this.#flush();
  }

  /** Reading stops until the leg is joined: a peer cannot fill memory while policy decides. */
  onReady(handshakeError: string | null, failed = false): void {
    if (this.#writable) return;
    this.#writable = true;
    this.pause();
    this.#settleReady({ kind: "ready", handshakeError, failed });
  }

  onEnd(): void {
    if (this.#isReset()) {
      this.terminate("ECONNRESET");
      return;
    }
    this.#readEnded = true;
    this.#wake();
    this.#screen?.end();
    if (this.#dismissed) this.#socket?.end();
    if (this.#partner !== null) this.#partner.#endWrite();
  }

  onClose(fault: string): void {
    if (this.closed) return;
    // Both sides ending at once close without an `end` event.
    const clean = this.#writeEnded && fault === "" && this.fault === "";
    this.#close(clean ? "clean" : "cut", this.#broken && fault === "" ? "ECONNRESET" : fault);
    if (!clean) this.#partner?.terminate("");
    else if (this.#partner !== null) this.#partner.#endWrite();
  }

  /** Whether what looks like the peer's end is none. Of a TLS leg's RST Bun tells by `close`, even then. */
  #isReset(): boolean {
    if (!this.#broken || this.#tls) return false;
    return !native.finCame(this.#socket?.fd ?? -1, this.bytesRead);
  }

  #close(ending: Ending, fault: string): void {
    this.ending = ending;
    if (this.fault === "") this.fault = fault;
    this.#linger?.clear();
    this.#socket = null;
    this.#early.clear();
    this.#held.clear();
    this.#settleReady({ kind: "closed", fault: this.fault });
    this.#settleGone();
    this.#wake();
  }

  #cut(come: Uint8Array, length: number): Uint8Array {
    this.pause();
    this.#early.clear();
    if (come.length > length) this.#early.push(come, length);
    this.bytesRead -= length;
    return come.subarray(0, length);
  }

  /** Resolves when something has come, or nothing will. */
  async #more(): Promise<void> {
    const come = Promise.withResolvers<void>();
    this.#wake = come.resolve;
    this.resume();
    await come.promise;
  }

  #pass(chunk: Uint8Array): void {
    if (this.#partner !== null) this.#partner.#send(chunk);
    else {
      this.#early.push(chunk);
      this.#wake();
    }
  }

  #passScreened(passed: Uint8Array | string): void {
    if (typeof passed === "string") this.terminate(passed);
    else if (passed.length > 0) this.#pass(passed);
  }

  /** Until its end was sent, a leg that goes with the process goes by RST: a cut must not look like an end. */
  #meet(partner: Stream, lingerMsMax: number): void {
    this.#partner = partner;
    this.#lingerMsMax = lingerMsMax;
    this.#resetOnClose(true);
  }

  #resetOnClose(on: boolean): void {
    const fd = this.#socket?.fd ?? -1;
    if (fd < 0 || this.#resets === on) return;
    this.#resets = on;
    native.setResetOnClose(fd, on);
  }

  #handOver(partner: Stream): void {
    for (const chunk of this.#early.take()) partner.#send(chunk);
    if (this.#readEnded) partner.#endWrite();
    if (partner.#held.bytes === 0) this.resume();
  }

  #send(chunk: Uint8Array): void {
    if (this.closed) return;
    const written = this.#held.bytes > 0 ? 0 : this.write(chunk);
    if (written === chunk.length || this.closed) return;
    this.#held.push(chunk, written);
    this.#partner?.pause();
    if (this.#total.isShort) this.#partner?.narrow();
  }

  #flush(): void {
    if (!this.#held.flush(this) || this.closed) return;
    if (this.#endWanted) this.#finishWrite();
    else if (this.#partner !== null) this.#partner.resume();
  }

  /**
   * For legs only: writes, and says how many bytes were taken. -1 from Bun means that the socket has failed, by an RST mostly. On a plain one send(2) has taken the error with it,
   * and what follows would look like the peer's end: recv(2) gives what came before, and then 0. One that is paused hears
   * nothing more of it at all, so it ends here: what it has not read an RST takes with it anyway.
   */
  write(chunk: Uint8Array): number {
    const result = this.#socket?.write(chunk) ?? 0;
    if (result < 0) {
      this.#broken = true;
      if (this.#paused) this.terminate("ECONNRESET");
    }
    const written = Math.max(0, result);
    const own = Math.min(this.#own, written);
    this.#own -= own;
    this.bytesWritten += written - own;
    return written;
  }

  /** Sends the end of this direction once all held bytes are out: FIN, or close_notify on TLS. */
  #endWrite(): void {
    if (this.#endWanted || this.closed) return;
    this.#endWanted = true;
    if (this.#held.bytes === 0) this.#finishWrite();
  }

  /**
   * shutdown() sends FIN, on TLS close_notify before it, and reading goes on. Bun's end() closes a plain socket
   * whole; on TLS it would leave the FIN out, but a socket that is paused after it is closed by Bun 1.4.5.
   */
  #finishWrite(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#resetOnClose(false);
    if (this.#partner !== null && this.#partner.#writeEnded) {
      this.#startLinger();
      this.#partner.#startLinger();
    }
    if (this.#readEnded) this.#socket?.end();
    else this.#socket?.shutdown();
  }

  #startLinger(): void {
    if (this.closed) return;
    this.#linger ??= new Deadline(this.#lingerMsMax, () => {
      this.terminate("ETIMEDOUT");
    });
  }
}

const nothing = (): void => undefined;
const bystander = Stream.bystander();
