/** A fake Bun socket for a leg, whose peer the test plays. It has no descriptor. */

/** What the leg does to it, in order. */
export type Act = "pause" | "resume" | "shutdown" | "end" | "terminate";

export class FakeSocket {
  readonly fd = -1;
  /** The adapter, where Bun's handlers look for it. */
  data: unknown = null;
  readonly acts: Act[] = [];
  /** Bytes accepted from the leg. */
  taken = 0;
  /** The first byte that is not the next of `patternOf`, or null. */
  wrongAt: number | null = null;
  /** The leg has written after its end, or after the socket was terminated or closed. */
  wroteAfterEnd = false;
  /** Bytes that the kernel has room for. */
  room: number;
  /** An RST has arrived: the next write fails. */
  isReset = false;
  /** It has failed, and consumed the socket's error. */
  hasFailed = false;
  isPaused = false;
  isGone = false;
  /** Called by `terminate`, as Bun calls the close handler. */
  onTerminate: () => void = () => undefined;
  /** The first bytes that the leg writes are not of the pattern. */
  readonly #ownBytes: number;

  constructor(room: number, ownBytes = 0) {
    this.room = room;
    this.#ownBytes = ownBytes;
  }

  get endsSent(): number {
    return this.acts.filter((act) => act === "shutdown" || act === "end").length;
  }

  write(chunk: Uint8Array): number {
    if (this.endsSent > 0 || this.isGone) this.wroteAfterEnd = true;
    this.hasFailed ||= this.isReset;
    if (this.hasFailed) return -1;
    const taken = Math.min(this.room, chunk.length);
    for (let at = 0; at < taken; at += 1)
      this.#compare(this.taken + at - this.#ownBytes, chunk[at]);
    this.taken += taken;
    this.room -= taken;
    return taken;
  }

  pause(): void {
    this.acts.push("pause");
    this.isPaused = true;
  }

  resume(): void {
    this.acts.push("resume");
    this.isPaused = false;
  }

  shutdown(): void {
    this.acts.push("shutdown");
  }

  end(): void {
    this.acts.push("end");
  }

  terminate(): void {
    this.acts.push("terminate");
    this.isGone = true;
    this.onTerminate();
  }

  #compare(place: number, byte: number | undefined): void {
    if (place >= 0 && byte !== place % patternPeriod) this.wrongAt ??= place;
  }
}

/** Bytes `from` to `from + count` of a stream whose bytes identify their position among neighbours. */
export function patternOf(from: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, at) => (from + at) % patternPeriod);
}

const patternPeriod = 251;
