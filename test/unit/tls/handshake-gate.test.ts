import { expect, test } from "bun:test";

import { HandshakeGate } from "../../../src/tls/handshake-gate.ts";

test("places are given in order, and no more than there are", async () => {
  const gate = new HandshakeGate(2, 60_000);
  const [first] = await Promise.all([gate.enter("a"), gate.enter("a")]);
  const entered: string[] = [];
  const third = gate.enter("a").then((lease) => (entered.push("third"), lease));
  const fourth = gate.enter("a").then((lease) => (entered.push("fourth"), lease));
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
  await gate.enter("a");
  const late = await gate.enter("a");
  late.release();
  expect(late).toBeDefined();
});

test("destinations take turns: one that never answers does not keep others waiting", async () => {
  const gate = new HandshakeGate(1, 60_000);
  const first = await gate.enter("dead");
  const entered: string[] = [];
  const enter = async (destination: string): Promise<void> => {
    const lease = await gate.enter(destination);
    entered.push(destination);
    lease.release();
  };
  const all = [enter("dead"), enter("dead"), enter("dead"), enter("well"), enter("well")];
  first.release();
  await Promise.all(all);
  expect(entered).toEqual(["dead", "well", "dead", "well", "dead"]);
});
