/** Warns of a certificate that is not renewed: when a third of its time is left, and at each halving of that. */
import { Ticker } from "../runtime/deadline.ts";

/** Milliseconds since 1970. */
export type Validity = { readonly notBefore: number; readonly notAfter: number };

/** Number of warnings due: none, one at a third, two at a sixth, …, and the last one at expiry. */
export function warningsDue(now: number, { notBefore, notAfter }: Validity): number {
  if (now > notAfter) return Infinity;
  const left = Math.max(notAfter - now, leftMsMin);
  const third = (notAfter - notBefore) / 3;
  return left > third ? 0 : 1 + Math.floor(Math.log2(third / left));
}

/** Calls `warn` when another one is due; a new certificate resets the count. Returns a function that stops this. */
export function watchExpiry(validity: () => Validity, warn: (of: Validity) => void): () => void {
  let warned = 0;
  let last = 0;
  const look = (): void => {
    const of = validity();
    if (of.notAfter !== last) warned = 0;
    last = of.notAfter;
    const due = warningsDue(Date.now(), of);
    if (due > warned) warn(of);
    warned = due;
  };
  look();
  const ticker = new Ticker(everyMs, look);
  return () => {
    ticker.stop();
  };
}

/** "for 3 d 4 h more", "no longer": the largest non-zero unit and the next one. */
export function remainingText(milliseconds: number): string {
  if (milliseconds <= 0) return "no longer";
  let left = Math.ceil(milliseconds / 1000);
  const counts = units.map(([name, seconds]) => {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    return { count, text: `${count} ${name}` };
  });
  const largest = counts.findIndex(({ count }) => count > 0);
  const shown = counts.slice(largest, largest + 2).filter(({ count }) => count > 0);
  return `for ${shown.map(({ text }) => text).join(" ")} more`;
}

const units = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
] as const;
const everyMs = 1000;
/** The last halving is at a minute: more would be noise. */
const leftMsMin = 60_000;
