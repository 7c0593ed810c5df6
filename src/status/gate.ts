/** Who may ask for the status, and how often: no client keeps the kubelet from its probes. Pure. */
import { Rate } from "./rate.ts";

/** Where a request comes from, as it is counted. */
export type Requester = {
  /** `sourceKey` of its address. */
  readonly key: string;
  /** Of this pod, or an address that probes are declared to come from: these wait for their own requests only. */
  readonly isTrusted: boolean;
};

/**
 * A rate for each source, and one for all. Sources that came before a flood began and go on asking, as kubelets and scrapers
 * do, have a rate for all of their own: a flood from many addresses does not use it up.
 */
export class StatusGate {
  readonly #strangers = new Map<string, Known>();
  readonly #regulars = new Map<string, Known>();
  readonly #all = new Rate(perSecondMax, perSecondMax);
  readonly #reserve = new Rate(perSecondReserved, perSecondReserved);

  /** Milliseconds on a monotonic clock that a request has to wait, or null: it is to be reset. */
  admit({ key, isTrusted }: Requester, now: number): number | null {
    const known = this.#regulars.get(key) ?? this.#strangers.get(key) ?? new Known(now);
    this.#remember(key, known, now);
    const shared = isTrusted ? [] : [known.isCalm(now) ? this.#reserve : this.#all];
    const rates = [known.rate, ...shared];
    const waitMs = Math.max(...rates.map((rate) => rate.waitMs(now)));
    if (waitMs > waitMsMax) return null;
    for (const rate of rates) rate.take(now);
    return waitMs;
  }

  isRegular(key: string): boolean {
    return this.#regulars.has(key);
  }

  /** The most recent ones stand last. */
  #remember(key: string, known: Known, now: number): void {
    this.#strangers.delete(key);
    this.#regulars.delete(key);
    const into = known.isRegular(now) ? this.#regulars : this.#strangers;
    into.set(key, known);
    const [oldest] = into.keys();
    if (into.size > sourcesMax && oldest !== undefined) into.delete(oldest);
  }
}

class Known {
  readonly rate = new Rate(perSourceMax, perSourceMax);
  readonly #calm = new Rate(perSecondCalm, 2 * perSecondCalm);
  readonly #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  isRegular(now: number): boolean {
    return now - this.#since >= regularAfterMs;
  }

  /** Counts this request: a source that came early and asks more than any kubelet is as others are. */
  isCalm(now: number): boolean {
    const isCalm = this.isRegular(now) && this.#calm.waitMs(now) === 0;
    if (isCalm) this.#calm.take(now);
    return isCalm;
  }
}

/** Requests a second. One costs a tenth of a millisecond of the thread that relays. */
export const perSecondMax = 500;
const perSecondReserved = 200;
export const perSourceMax = 200;
const perSecondCalm = 10;
/** One that would wait for longer is reset at once. */
const waitMsMax = 1000;
const regularAfterMs = 10_000;
/** Of each sort. */
const sourcesMax = 1024;
