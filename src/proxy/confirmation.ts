/** Rules on trial: they go again unless somebody who can still reach the machine says that they may stay. */
import { Deadline } from "../runtime/deadline.ts";

/** The signal that `tls-tproxy confirm` sends. SIGUSR1 is not free: JavaScriptCore stops threads with it. */
export const confirmSignal = "SIGUSR2";

/** Resolves with whether `confirmSignal` has come within `msMax`. */
export async function confirmed(msMax: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const deadline = new Deadline(msMax, () => {
    resolve(false);
  });
  // Once it is confirmed, confirming again must not end the process: the handler stays.
  process.on(confirmSignal, () => {
    resolve(true);
  });
  const yes = await promise;
  deadline.clear();
  return yes;
}
