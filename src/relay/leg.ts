/** One leg of a connection: what it carries, the back-pressure of that, and how its life (life.ts) goes on. */
import type { TLSOptions } from "bun";

import type { LegSocket, SocketOwner } from "../net/leg-socket.ts";
import { Deadline } from "../runtime/deadline.ts";
import { EarlyBytes } from "./early-bytes.ts";
import { unbounded, type Held } from "./held.ts";
import * as life from "./life.ts";
import type { Relay } from "./relay.ts";
import { SendBuffer } from "./send-buffer.ts";

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

/** Sees a leg's bytes before the relay does. */
export type Screen = {
  /** What of them may pass, or the fault that ends the leg. */
  readonly pass: (chunk: Uint8Array) => Uint8Array | string;
  /** No more bytes come from the peer. */
  readonly end: () => void;
};

/**
 * A leg. Bytes that arrive go to the other leg of its relay; what that one's kernel buffer does not take is held there and
 * this leg paused, so at most one read of Bun's (512 KiB) and what was decrypted with it waits.
 */
export class Leg implements SocketOwner {
  /** Connected, and for TLS through the handshake; or closed before that. */
  readonly ready: Promise<Readiness>;
  /** The socket is gone; nothing follows. */
  readonly gone: Promise<void>;
  readonly socket: LegSocket;
  bytesRead = 0;
  /** Code of what cut the leg, "" if nothing did or it is not known. */
  fault = "";

  #state: life.LegState;
  #relay: Relay | null = null;
  #screen: Screen | null = null;
  readonly #early: EarlyBytes;
  readonly #unsent: SendBuffer;
  readonly #total: Held;
  readonly #settleReady: (readiness: Readiness) => void;
  readonly #settleGone: () => void;

  /** Owns `socket` from now on. "waiting": bytes may be written at once. `total`: where held bytes count. */
  constructor(socket: LegSocket, state: "setting-up" | "waiting", total: Held = unbounded) {
    const ready = Promise.withResolvers<Readiness>();
    const gone = Promise.withResolvers<void>();
    this.#state = state;
    this.#total = total;
    this.#early = new EarlyBytes(total);
    this.#unsent = new SendBuffer(socket, total);
    this.ready = ready.promise;
    this.gone = gone.promise;
    this.#settleReady = ready.resolve;
    this.#settleGone = gone.resolve;
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

  /** Bytes that the kernel has taken, without the proxy's own. */
  get bytesWritten(): number {
    return this.#unsent.bytesWritten;
  }

  /** Bytes that wait for this leg's kernel buffer. */
  get heldBytes(): number {
    return this.#unsent.bytes;
  }

  /** What the leg counts in the sum of held bytes. */
  get countedBytes(): number {
    return this.#unsent.countedBytes + this.#early.countedBytes;
  }

  /** A leg that was undecided is a plain one: it is ready. */
  startPlain(): void {
    this.socket.startPlain();
    this.#unsent.startPlain();
    this.onReady(null, false);
  }

  /** A leg that was undecided is a plain one of which `screen` says what passes, from now on: it is read at once. */
  startScreened(screen: Screen): void {
    this.#screen = screen;
    this.startPlain();
    this.resume();
  }

  /** A leg that was undecided is TLS, terminated here: `ready` says how the handshake went. */
  startTls(tls: TLSOptions): void {
    this.socket.startTls(tls);
  }

  /** Sends something of the proxy's own before all that is relayed. No byte of the application's. */
  say(bytes: Uint8Array): void {
    this.#unsent.expectOwn(bytes.length);
    this.send(bytes);
  }

  /**
   * Takes what came first, before the leg is relayed: as many bytes as `lengthOf` says of those that have come. Null if
   * the leg ends before. Reading goes on until they are there, so the caller has a deadline.
   */
  async take(lengthOf: (come: Uint8Array) => number): Promise<Uint8Array | null> {
    const taken = await this.#early.take(lengthOf, this);
    if (taken !== null) this.bytesRead -= taken.length;
    return taken;
  }

  pause(): void {
    const wasRead = this.socket.pause();
    // Bun reports nothing more of a broken socket that is paused.
    if (wasRead && life.isBroken(this.#state)) this.terminate("ECONNRESET");
  }

  resume(): void {
    this.socket.resume();
  }

  /** Ends the leg and the one it is relayed with, by RST, at once. */
  terminate(fault: string): void {
    if (this.closed) return;
    this.#end("cut", fault);
    this.socket.cut();
    this.#relay?.closed(this);
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
    this.#move("dismissed");
    this.#early.clear();
    this.socket.shutdown();
    this.resume();
    await this.gone;
    deadline.clear();
  }

  /**
   * For the relay only, as are the next four. Until its end was sent, a leg that goes with the process goes by RST: a cut
   * must not look like an end.
   */
  join(relay: Relay): void {
    this.#relay = relay;
    this.socket.resetOnClose(true);
    // Nothing is carried over a leg that is not ready: its peer may not be verified.
    if (!this.#move("joined") && !life.isBroken(this.#state)) this.terminate("");
  }

  /** What came before the leg was relayed. */
  takeEarly(): readonly Uint8Array[] {
    return this.#early.takeAll();
  }

  /** Writes, or holds what the kernel does not take: false then. */
  send(chunk: Uint8Array): boolean {
    if (this.closed) return true;
    // Never: bytes that follow an end. They are not lost in silence.
    if (life.hasSentEnd(this.#state)) this.terminate("EPIPE");
    const written = this.#unsent.offer(chunk);
    if (written === chunk.length || this.closed) return true;
    this.#unsent.hold(chunk, written);
    return false;
  }

  /** Is read no more for now; where memory is short, the kernel keeps little of what comes meanwhile. */
  throttle(): void {
    this.pause();
    if (this.#total.isShort) this.socket.narrow(this.#total.narrowReceiveBytes);
  }

  /** Sends the end of this direction once all held bytes are out. */
  endWrite(): void {
    this.#move("partner-ended");
    if (this.#unsent.bytes === 0 && life.isFlushing(this.#state)) this.#sendEnd();
  }

  /** For the socket only, as are those below. */
  onData(chunk: Uint8Array): void {
    this.bytesRead += chunk.length;
    if (this.#state === "dismissed" || this.closed) return;
    if (this.#screen === null) this.#pass(chunk);
    else this.#passScreened(this.#screen.pass(chunk));
  }

  onDrain(): void {
    // Bun opens a plain socket while it is connecting; the first drain says that it is connected.
    if (!this.socket.tls && life.isSettingUp(this.#state)) this.onReady(null, false);
    if (this.#relay === null || !this.#unsent.flush() || this.closed) return;
    if (life.isFlushing(this.#state)) this.#sendEnd();
    else if (!life.hasSentEnd(this.#state)) this.#relay.drained(this);
  }

  /** Reading stops until the leg is relayed: a peer cannot fill memory while policy decides. */
  onReady(handshakeError: string | null, failed: boolean): void {
    if (!this.#move("ready")) return;
    this.pause();
    this.#settleReady({ kind: "ready", handshakeError, failed });
  }

  /**
   * What follows would look like the peer's end. A paused leg ends here, because Bun reports nothing more of it: what it
   * has not read the RST takes with it.
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

  onFault(fault: string): void {
    if (this.fault === "") this.fault = fault;
  }

  onClose(fault: string): void {
    if (this.closed) return;
    const isOrderly = fault === "" && this.fault === "";
    const isReset = fault === "" && life.isBroken(this.#state);
    this.#end(isOrderly ? "closed" : "cut", isReset ? "ECONNRESET" : fault);
    this.#relay?.closed(this);
  }

  /** False if the state stays as it is. */
  #move(event: life.LegEvent): boolean {
    const before = this.#state;
    this.#state = life.next(before, event);
    return this.#state !== before;
  }

  #end(event: "closed" | "cut", fault: string): void {
    this.#move(event);
    this.onFault(fault);
    this.#early.clear();
    this.#unsent.clear();
    this.#settleReady({ kind: "closed", fault: this.fault });
    this.#settleGone();
    this.#early.wake();
  }

  #pass(chunk: Uint8Array): void {
    if (this.#relay === null) this.#early.push(chunk);
    else this.#relay.carry(this, chunk);
  }

  #passScreened(passed: Uint8Array | string): void {
    if (typeof passed === "string") this.terminate(passed);
    else if (passed.length > 0) this.#pass(passed);
  }

  #sendEnd(): void {
    this.#move("flushed");
    this.#relay?.endSent(this);
    this.socket.sendEnd(life.hasPeerEnded(this.#state));
  }
}
