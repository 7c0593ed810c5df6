import { expect, test } from "bun:test";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { endTicketsRegularly } from "../../../src/reload/ticket-end.ts";

test("tickets are ended again and again, even after a time when they could not be", async () => {
  const lines: string[] = [];
  const third = Promise.withResolvers<void>();
  let turn = 0;
  const end = (): void => {
    turn += 1;
    if (turn === 2) throw new ProxyError("CREDENTIALS_INVALID", "no descriptor is left");
    if (turn === 3) third.resolve();
  };
  const write = (severity: string, source: string, message: string): void => {
    lines.push(`${severity} ${source} ${message}`);
  };
  const stop = endTicketsRegularly(end, { write }, 1);
  await third.promise;
  stop();
  expect(lines).toEqual([
    "W credentials session tickets are good for longer: no descriptor is left",
  ]);
});
