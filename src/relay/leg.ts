/**
 * One leg of a connection: the data that it carries, their back-pressure, and the transitions of its life (life.ts).
 */
import type { TLSOptions } from "bun";

import type { Fault } from "../net/fault.ts";
import type { LegSocket, SocketOwner } from "../net/leg-socket.ts";
import { Deadline } from "../runtime/deadline.ts";
import { EarlyBytes } from "./early-bytes.ts";
import { unbounded, type Held } from "./held.ts";
import * as life from "./life.ts";
import type { Relay } from "./relay.ts";
import { SendBuffer } from "./send-buffer.ts";

/** The result of a leg's set-up. For TLS, "ready" is not authorization: tls/verify.ts decides. */
export type Readiness =
  | {
      readonly kind: "ready";
      readonly handshakeError: Fault | null;
      /** For a leg that terminates TLS: the handshake has failed, and the TLS library has sent an alert. */
      readonly failed: boolean;
    }
  | { readonly kind: "closed"; readonly fault: Fault };

/** How a leg ended. `cut`: without its orderly end (RST, time-out, refusal). */
export type Ending = "open" | "clean" | "cut";

/** Sees a leg's bytes before the relay does. */
export type Screen = {
  /** The part of them that may pass, or the fault that ends the leg. */
  readonly pass: (chunk: Uint8Array) => Uint8Array | Fault;
  /** No more bytes come from the peer. */
  readonly end: () => void;
};

/**
 * A leg. Arriving bytes go to the other leg of its relay; what that leg's kernel buffer does not accept is held
 * there, and this leg is paused. So at most one of Bun's reads (512 KiB), and what was decrypted with it, is held.
 */
export class Leg implements SocketOwner {
  /** Connected, and for TLS through the handshake; or closed before that. */
  readonly ready: Promise<Readiness>;
  /** The socket is closed; nothing follows. */
  readonly gone: Promise<void>;
  readonly socket: LegSocket;
  bytesRead = 0;
  /** The code of what cut the leg, "" if nothing did or it is unknown. */
  fault: Fault = "";

  #state: life.LegState;
  #relay: Relay | null = null;
  #screen: Screen | null = null;
  readonly #early: EarlyBytes;
  readonly #unsent: SendBuffer;
  readonly #total: Held;
  readonly #resolveReady: (readiness: Readiness) => void;
  readonly #resolveGone: () => void;

  /**
   * Owns `socket` from now on. "waiting": bytes may be written at once. `total`: the sum that held bytes are added
   * to.
   */
  constructor(socket: LegSocket, state: "setting-up" | "waiting", total: Held = unbounded) {
    const ready = Promise.withResolvers<Readiness>();
    const gone = Promise.withResolvers<void>();
    this.#state = state;
    this.#total = total;
    this.#early = new EarlyBytes(total);
    this.#unsent = new SendBuffer(socket, total);
    this.ready = ready.promise;
    this.gone = gone.promise;
    this.#resolveReady = ready.resolve;
    this.#resolveGone = gone.resolve;
    this.socket = socket;
    socket.owner = this;
  }

  get closed(): boolean {
    return life.isOver(this.#state);
  }

  get ending(): Ending {
    return life.isOver(this.#state) ? this.#state : "open";
  }

  get hasPeerEnded(): boolean {
    return life.hasPeerEnded(this.#state);
  }

  get hasSentEnd(): boolean {
    return life.hasSentEnd(this.#state);
  }

  /** Bytes that the kernel has accepted, without the proxy's own. */
  get bytesWritten(): number {
    return this.#unsent.bytesWritten;
  }

  /** Bytes that wait for this leg's kernel buffer. */
  get heldBytes(): number {
    return this.#unsent.bytes;
  }

  /** The leg's share of the sum of held bytes. */
  get countedBytes(): number {
    return this.#unsent.countedBytes + this.#early.countedBytes;
  }

  /** Decides that an undecided leg is plain: it is ready. */
  startPlain(): void {
    this.socket.startPlain();
    this.#unsent.startPlain();
    this.onReady(null, false);
  }

  /** Decides that an undecided leg is plain, and that `screen` judges its bytes from now on: it is read at once. */
  startScreened(screen: Screen): void {
    this.#screen = screen;
    this.startPlain();
    this.resume();
  }

  /** Decides that an undecided leg is TLS, terminated here: `ready` reports the handshake's result. */
  startTls(tls: TLSOptions): void {
    this.socket.startTls(tls);
  }

  /** Sends the proxy's own data before all that is relayed. Never contains a byte of the application's. */
  say(bytes: Uint8Array): void {
    this.#unsent.expectOwn(bytes.length);
    this.send(bytes);
  }

  /**
   * Takes the first bytes, before the leg is relayed: as many as `lengthOf` returns for those received. Null if the
   * leg ends before. Reading continues until they have arrived, so the caller must have a deadline.
   */
  async take(lengthOf: (come: Uint8Array) => number): Promise<Uint8Array | null> {
    const taken = await this.#early.take(lengthOf, this);
    if (taken !== null) this.bytesRead -= taken.length;
    return taken;
  }

  pause(): void {
    const wasRead = this.socket.pause();
    // Bun reports nothing more for a broken socket that is paused.
    if (wasRead && life.isBroken(this.#state)) this.terminate("ECONNRESET");
  }

  resume(): void {
    this.socket.resume();
  }

  /** Ends the leg and its partner in the relay by RST, at once. */
  terminate(fault: Fault): void {
    if (this.closed) return;
    this.#end("cut", fault);
    this.socket.cut();
    this.#relay?.closed(this);
  }

  /**
   * Dismisses a peer that will not be served: the TLS library's last message to it (an alert) arrives, because the
   * peer's data is meanwhile read and dropped. Closing with unread bytes would send an RST that can overtake the
   * alert. Resolves when the socket is closed, at the latest after `msMax`.
   */
  async dismiss(msMax: number): Promise<void> {
    const deadline = new Deadline(msMax, () => {
      this.terminate("");
    });
    this.#move("dismissed");
    this.#early.clear();
    this.socket.shutdown();
    this.resume();
    await this.gone;
    deadline.clear();
  }

  /**
   * For the relay only, like the next four. Until its end was sent, a leg that dies with the process ends by RST: a
   * cut must not look like an end.
   */
  join(relay: Relay): void {
    this.#relay = relay;
    this.socket.resetOnClose(true);
    // A leg that is not ready carries nothing: its peer may not be verified.
    if (!this.#move("joined") && !life.isBroken(this.#state)) this.terminate("");
  }

  /** The bytes that arrived before the leg was relayed. */
  takeEarly(): readonly Uint8Array[] {
    return this.#early.takeAll();
  }

  /** Writes, or holds what the kernel does not accept and returns false. */
  send(chunk: Uint8Array): boolean {
    if (this.closed) return true;
    // Should never happen: bytes after an end. They are not lost silently.
    if (life.hasSentEnd(this.#state)) this.terminate("EPIPE");
    const written = this.#unsent.offer(chunk);
    if (written === chunk.length || this.closed) return true;
    this.#unsent.hold(chunk, written);
    return false;
  }

  /** Stops reading for now; if memory is short, the kernel buffers little of the data that arrives meanwhile. */
  throttle(): void {
    this.pause();
    if (this.#total.isShort) this.socket.narrow(this.#total.narrowReceiveBytes);
  }

  /** Sends the end of this direction once all held bytes are written. */
  endWrite(): void {
    this.#move("partner-ended");
    if (this.#unsent.bytes === 0 && life.isFlushing(this.#state)) this.#sendEnd();
  }

  /** For the socket only, like those below. */
  onData(chunk: Uint8Array): void {
    this.bytesRead += chunk.length;
    if (this.#state === "dismissed" || this.closed) return;
    if (this.#screen === null) this.#pass(chunk);
    else this.#passScreened(this.#screen.pass(chunk));
  }

  onDrain(): void {
    // Bun opens a plain socket while it is connecting; the first drain event means that it is connected.
    if (!this.socket.tls && life.isSettingUp(this.#state)) this.onReady(null, false);
    if (this.#relay === null || !this.#unsent.flush() || this.closed) return;
    if (life.isFlushing(this.#state)) this.#sendEnd();
    else if (!life.hasSentEnd(this.#state)) this.#relay.drained(this);
  }

  /** Reading stops until the leg is relayed: a peer cannot fill memory while the policy decides. */
  onReady(handshakeError: Fault | null, failed: boolean): void {
    if (!this.#move("ready")) return;
    this.pause();
    this.#resolveReady({ kind: "ready", handshakeError, failed });
  }

  /**
   * The next event would look like the peer's end. A paused leg ends here, because Bun reports nothing more for it:
   * the RST discards what it has not read.
   */
  onWriteFailed(): void {
    this.#move("write-failed");
    if (this.socket.isPaused) this.terminate("ECONNRESET");
  }

  onEnd(): void {
    if (life.isBroken(this.#state) && this.socket.endIsReset(this.bytesRead)) {
      this.terminate("ECONNRESET");
      return;
    }
    this.#move("peer-ended");
    this.#early.wake();
    this.#screen?.end();
    if (this.#state === "dismissed") this.socket.end();
    this.#relay?.peerEnded(this);
  }

  onFault(fault: Fault): void {
    if (this.fault === "") this.fault = fault;
  }

  onClose(fault: Fault): void {
    if (this.closed) return;
    const isOrderly = fault === "" && this.fault === "";
    const isReset = fault === "" && life.isBroken(this.#state);
    this.#end(isOrderly ? "closed" : "cut", isReset ? "ECONNRESET" : fault);
    this.#relay?.closed(this);
  }

  /** False if the state does not change. */
  #move(event: life.LegEvent): boolean {
    const before = this.#state;
    this.#state = life.next(before, event);
    return this.#state !== before;
  }

  #end(event: "closed" | "cut", fault: Fault): void {
    this.#move(event);
    this.onFault(fault);
    this.#early.clear();
    this.#unsent.clear();
    this.#resolveReady({ kind: "closed", fault: this.fault });
    this.#resolveGone();
    this.#early.wake();
  }

  #pass(chunk: Uint8Array): void {
    if (this.#relay === null) this.#early.push(chunk);
    else this.#relay.carry(this, chunk);
  }

  #passScreened(passed: Uint8Array | Fault): void {
    if (typeof passed === "string") this.terminate(passed);
    else if (passed.length > 0) this.#pass(passed);
  }

  #sendEnd(): void {
    this.#move("flushed");
    this.#relay?.endSent(this);
    this.socket.sendEnd(life.hasPeerEnded(this.#state));
  }
}
