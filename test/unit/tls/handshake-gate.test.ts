import { expect, test } from "bun:test";

import { HandshakeGate } from "../../../src/tls/handshake-gate.ts";

/** `each`: the limits per destination; by default the same as in all. */
function gateOf(count: number, leaseMsMax: number, each = { count, leaseMsMax }): HandshakeGate {
  return new HandshakeGate({ all: { count, leaseMsMax }, each });
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

test("places are assigned in order, and never more than exist", async () => {
  const gate = gateOf(2, 60_000);
  const [first] = await Promise.all([gate.enter("a", 60_000), gate.enter("a", 60_000)]);
  const entered: string[] = [];
  const third = gate.enter("a", 60_000).then((lease) => (entered.push("third"), lease));
  const fourth = gate.enter("a", 60_000).then((lease) => (entered.push("fourth"), lease));
  await settled();
  expect(entered).toEqual([]);
  first?.release();
  first?.release(); // A second release is harmless.
  (await third)?.release();
  await fourth;
  expect(entered).toEqual(["third", "fourth"]);
});

test("a place that is not released returns after its lease", async () => {
  const gate = gateOf(1, 1);
  await gate.enter("a", 60_000);
  const late = await gate.enter("a", 60_000);
  late?.release();
  expect(late).not.toBeNull();
});

test("destinations take turns: one that never answers does not delay others", async () => {
  const gate = gateOf(1, 60_000);
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

test("a handshake that waits too long gives up, and takes no place later", async () => {
  const gate = gateOf(1, 60_000);
  const first = await gate.enter("a", 60_000);
  const late = gate.enter("a", 1);
  const patient = gate.enter("a", 60_000);
  expect(await late).toBeNull();
  first?.release();
  expect(await patient).not.toBeNull();
});

test("one destination has a few places, others have the rest", async () => {
  const gate = gateOf(4, 60_000, { count: 2, leaseMsMax: 50_000 });
  const entered: string[] = [];
  const enter = async (destination: string): Promise<void> => {
    if ((await gate.enter(destination, 60_000)) !== null) entered.push(destination);
  };
  for (const destination of ["a", "a", "a", "b", "c", "d"]) void enter(destination);
  await settled();
  expect(entered).toEqual(["a", "a", "b", "c"]);
});

test("a released place goes to the destination's next, else to another destination's", async () => {
  const gate = gateOf(2, 60_000, { count: 1, leaseMsMax: 50_000 });
  const entered: string[] = [];
  const enter = async (name: string): Promise<() => void> => {
    const lease = await gate.enter(name.slice(0, 1), 60_000);
    entered.push(name);
    return lease?.release ?? ((): void => undefined);
  };
  const [a1, , b1] = [enter("a1"), enter("a2"), enter("b1"), enter("b2")];
  await settled();
  expect(entered).toEqual(["a1", "b1"]);
  (await b1)();
  await settled();
  (await a1)();
  await settled();
  expect(entered).toEqual(["a1", "b1", "b2", "a2"]);
});

test("a handshake beyond its lease no longer counts for its destination, but still in all", async () => {
  const gate = gateOf(2, 60_000, { count: 1, leaseMsMax: 1 });
  const far = [await gate.enter("far", 60_000), await gate.enter("far", 60_000)];
  const third = gate.enter("far", 60_000);
  const other = gate.enter("other", 60_000);
  expect(await Promise.race([third, other, Bun.sleep(20).then(() => "nobody")])).toBe("nobody");
  far[0]?.release();
  far[0]?.release();
  expect(await third).not.toBeNull();
  far[1]?.release();
  expect(await other).not.toBeNull();
});
