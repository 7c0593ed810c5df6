/** A log that writes nothing. */
import type { Log } from "../../src/runtime/log/log.ts";

export const silentLog: Log = {
  verbosity: 0,
  write: () => undefined,
  writeMade: () => undefined,
  end: async () => undefined,
};
