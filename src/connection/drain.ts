/** The end of a proxy: connections go on, new ones too, until there is none, or time is up. */
import type { ConnectionRegistry } from "./registry.ts";
import { Deadline } from "../runtime/deadline.ts";

export type DrainEnd = "all connections have ended" | "the time is up" | "a second signal has come";

/** Waits for the first of three: no live connection, `msMax`, `forced`. */
export async function drain(
  registry: ConnectionRegistry,
  msMax: number,
  forced: Promise<unknown>,
): Promise<DrainEnd> {
  const late = Promise.withResolvers<DrainEnd>();
  const deadline = new Deadline(msMax, () => {
    late.resolve("the time is up");
  });
  const end = await Promise.race([
    registry.empty().then((): DrainEnd => "all connections have ended"),
    late.promise,
    forced.then((): DrainEnd => "a second signal has come"),
  ]);
  deadline.clear();
  return end;
}
