/** For events that may occur with every connection, and deserve a line a minute. */

/** Calls `act` unless it was called within the last minute. `now`: a monotonic clock in milliseconds. */
export function seldom<A extends readonly unknown[]>(
  act: (...args: A) => void,
  now: () => number = () => performance.now(),
): (...args: A) => void {
  let last = -Infinity;
  return (...args) => {
    if (now() - last < everyMsMin) return;
    last = now();
    act(...args);
  };
}

const everyMsMin = 60_000;
