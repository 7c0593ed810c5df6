import { expect, test } from "bun:test";

import { HandshakeGate } from "../../../src/tls/handshake-gate.ts";

test("places are given in order, and no more than there are", async () => {
  const gate = new HandshakeGate(2, 60_000);
  const [first] = await Promise.all([gate.enter(), gate.enter()]);
  const entered: string[] = [];
  const third = gate.enter().then((lease) => (entered.push("third"), lease));
  const fourth = gate.enter().then((lease) => (entered.push("fourth"), lease));
  await Promise.resolve();
  expect(entered).toEqual([]);
  first.release();
  first.release(); // Twice is harmless.
  (await third).release();
  await fourth;
  expect(entered).toEqual(["third", "fourth"]);
});

test("a place that is not given back returns by itself", async () => {
  const gate = new HandshakeGate(1, 1);
  await gate.enter();
  const late = await gate.enter();
  late.release();
  expect(late).toBeDefined();
});
