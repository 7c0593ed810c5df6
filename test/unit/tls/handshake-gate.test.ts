import { expect, test } from "bun:test";

import { HandshakeGate } from "../../../src/tls/handshake-gate.ts";

test("places are given in order, and no more than there are", async () => {
  const gate = new HandshakeGate(2, 60_000);
  const [first] = await Promise.all([gate.enter("a", 60_000), gate.enter("a", 60_000)]);
  const entered: string[] = [];
  const third = gate.enter("a", 60_000).then((lease) => (entered.push("third"), lease));
  const fourth = gate.enter("a", 60_000).then((lease) => (entered.push("fourth"), lease));
  await Promise.resolve();
  expect(entered).toEqual([]);
  first?.release();
  first?.release(); // Twice is harmless.
  (await third)?.release();
  await fourth;
  expect(entered).toEqual(["third", "fourth"]);
});

test("a place that is not given back returns by itself", async () => {
  const gate = new HandshakeGate(1, 1);
  await gate.enter("a", 60_000);
  const late = await gate.enter("a", 60_000);
  late?.release();
  expect(late).not.toBeNull();
});

test("destinations take turns: one that never answers does not keep others waiting", async () => {
  const gate = new HandshakeGate(1, 60_000);
  const first = await gate.enter("dead", 60_000);
  const entered: string[] = [];
  const enter = async (destination: string): Promise<void> => {
    const lease = await gate.enter(destination, 60_000);
    entered.push(destination);
    lease?.release();
  };
  const all = [enter("dead"), enter("dead"), enter("dead"), enter("well"), enter("well")];
  first?.release();
  await Promise.all(all);
  expect(entered).toEqual(["dead", "well", "dead", "well", "dead"]);
});

test("who waits too long gives up, and takes no place when its turn would come", async () => {
  const gate = new HandshakeGate(1, 60_000);
  const first = await gate.enter("a", 60_000);
  const late = gate.enter("a", 1);
  const patient = gate.enter("a", 60_000);
  expect(await late).toBeNull();
  first?.release();
  expect(await patient).not.toBeNull();
});
