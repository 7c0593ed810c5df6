/** Rules that wait for a confirmation: they are removed unless an operator who can still reach the machine confirms them. */
import { Deadline } from "../runtime/deadline.ts";

/** The signal that `tls-tproxy confirm` sends. SIGUSR1 is not available: JavaScriptCore stops threads with it. */
export const confirmSignal = "SIGUSR2";

/** Resolves to true if `confirmSignal` arrives within `msMax`. */
export async function confirmed(msMax: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const deadline = new Deadline(msMax, () => {
    resolve(false);
  });
  // The handler stays, because a second confirmation must not end the process.
  process.on(confirmSignal, () => {
    resolve(true);
  });
  const yes = await promise;
  deadline.clear();
  return yes;
}
