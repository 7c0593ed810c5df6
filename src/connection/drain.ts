/** The end of a proxy: connections go on, new ones too, until there is none, or time is up. */
import type { Ledger } from "./registry.ts";
import { Deadline } from "../runtime/deadline.ts";

export type DrainEnd = "all connections have ended" | "the time is up" | "a second signal has come";

/** Waits for the first of three: no live connection, `msMax`, `forced`. */
export async function drain(
  ledger: Ledger,
  msMax: number,
  forced: Promise<unknown>,
): Promise<DrainEnd> {
  const late = Promise.withResolvers<DrainEnd>();
  const deadline = new Deadline(msMax, () => {
    late.resolve("the time is up");
  });
  const end = await Promise.race([
    ledger.empty().then((): DrainEnd => "all connections have ended"),
    late.promise,
    forced.then((): DrainEnd => "a second signal has come"),
  ]);
  deadline.clear();
  return end;
}
