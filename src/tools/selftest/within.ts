/** A trial with a time limit, for cases where no answer ever comes. */
import { Deadline } from "../../runtime/deadline.ts";

/** Rejects if it takes longer than `msMax`. */
export async function within<T>(msMax: number, run: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const deadline = new Deadline(msMax, () => {
    reject(new Error(`no answer within ${msMax / 1000} s`));
  });
  try {
    return await Promise.race([run(), promise]);
  } finally {
    deadline.clear();
  }
}

/** Many times the duration of any trial. */
export const trialMsMax = 3000;
