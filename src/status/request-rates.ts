/** Rate limits for status requests: no client keeps the kubelet from its probes. Pure. */
import { Rate } from "./rate.ts";

/** The origin of a request for counting. */
export type Requester = {
  /** `sourceKey` of its address. */
  readonly key: string;
  /** This pod, or a declared source of probes: these wait only for their own requests. */
  readonly isTrusted: boolean;
};

/**
 * A rate for each source, and one for all. Sources that came before a flood began and keep asking, such as kubelets
 * and scrapers, share a separate rate: a flood from many addresses does not exhaust it.
 */
export class RequestRates {
  readonly #strangers = new Map<string, Known>();
  readonly #regulars = new Map<string, Known>();
  readonly #all = new Rate(perSecondMax, perSecondMax);
  readonly #reserve = new Rate(perSecondReserved, perSecondReserved);

  /** Milliseconds that a request must wait, on a monotonic clock, or null to reset it. */
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

  /** The most recent ones are last. */
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

  /** Counts this request: an early source that asks more than any kubelet is treated like the others. */
  isCalm(now: number): boolean {
    const isCalm = this.isRegular(now) && this.#calm.waitMs(now) === 0;
    if (isCalm) this.#calm.take(now);
    return isCalm;
  }
}

/** Requests per second. One costs a tenth of a millisecond of the thread that relays. */
export const perSecondMax = 500;
const perSecondReserved = 200;
export const perSourceMax = 200;
const perSecondCalm = 10;
/** One that would wait longer is reset at once. */
const waitMsMax = 1000;
const regularAfterMs = 10_000;
/** Of each kind. */
const sourcesMax = 1024;
