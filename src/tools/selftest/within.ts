/** A trial that has an end, even where nothing ever answers. */
import { Deadline } from "../../runtime/deadline.ts";

/** Rejects where it takes longer. */
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

/** Many times what any of them takes. */
export const trialMsMax = 3000;
