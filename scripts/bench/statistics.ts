/** Statistics. Pure. */
import type { Percentiles } from "./results.ts";

export type Summary = {
  readonly median: number;
  /** The range divided by the median; 0 for a single value. */
  readonly spread: number;
};

/** NaN for no values; the mean of the middle two for an even number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  if (!Number.isInteger(middle)) return upper;
  return ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Null for no values. */
export function summary(values: readonly number[]): Summary | null {
  if (values.length === 0) return null;
  const middle = median(values);
  const range = Math.max(...values) - Math.min(...values);
  return { median: middle, spread: middle === 0 ? 0 : range / middle };
}

/** A summary of the selected values, without nulls. */
export function summaryOf<T>(
  items: readonly T[],
  choose: (item: T) => number | null,
): Summary | null {
  return summary(items.map(choose).filter((value) => value !== null));
}

/** By nearest rank, in the unit of the values; null for no values. */
export function percentiles(values: readonly number[]): Percentiles | null {
  const sorted = Float64Array.from(values).toSorted();
  const at = (part: number): number =>
    sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
  return sorted.length === 0 ? null : { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

/**
 * A confidence interval for the median by order statistics (the sign test): at least 95 % for six values and more,
 * the whole range for fewer.
 */
export function signInterval(values: readonly number[]): readonly [low: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  let left = 0;
  for (let outside = 2 * 0.5 ** count; outside <= 0.05 && left + 1 < count / 2;) {
    left += 1;
    outside += 2 * waysToChoose(count, left) * 0.5 ** count;
  }
  const drop = Math.max(0, left - 1);
  return [sorted[drop] ?? Number.NaN, sorted[count - 1 - drop] ?? Number.NaN];
}

function waysToChoose(of: number, count: number): number {
  let ways = 1;
  for (let at = 1; at <= count; at += 1) ways = (ways * (of - count + at)) / at;
  return ways;
}
