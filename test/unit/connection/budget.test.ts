/** The memory budget: the sum of all plans never exceeds the memory. */
import { expect, test } from "bun:test";

import { budgetOf, describeBudget, type Budget } from "../../../src/connection/budget.ts";
import { memoryPlan } from "../../../src/config.ts";

const mebibyte = 2 ** 20;

function budgetFor(bytes: number, connections: number): Budget {
  return budgetOf({ bytes, countsSockets: false }, connections);
}

test.each([64, 96, 128, 256, 512, 1024, 24_000])(
  "with %d MiB the sum of all plans is not more",
  (memory) => {
    const plan = budgetFor(memory * mebibyte, 1_000_000);
    const planned =
      memoryPlan.restBytes +
      plan.connectionsMax * memoryPlan.connectionBytes +
      plan.handshakesMax * memoryPlan.handshakeBytes +
      2 * plan.unverifiedBytesMax +
      plan.heldBytesMax;
    expect(planned).toBeLessThanOrEqual(memory * mebibyte);
    expect(plan.outboundReserve).toBeGreaterThan(0);
    expect(plan.outboundReserve).toBeLessThan(plan.connectionsMax / 4);
  },
);

test("64 MiB suffice for a thousand connections of one peer, install.yaml's 256 MiB for six thousand", () => {
  const { connectionsMax, outboundReserve } = budgetFor(64 * mebibyte, 10_000);
  expect(((connectionsMax - outboundReserve) * 8) / 9).toBeGreaterThanOrEqual(1000);
  expect(budgetFor(256 * mebibyte, 10_000).connectionsMax).toBeGreaterThanOrEqual(6000);
});

test("more memory never raises the limits that --connections and the descriptors set", () => {
  expect(budgetFor(24_000 * mebibyte, 36)).toMatchObject({
    connectionsMax: 36,
    outboundReserve: 5,
    strangersMax: 18,
  });
  expect(budgetFor(24_000 * mebibyte, 1)).toMatchObject({ connectionsMax: 1, outboundReserve: 0 });
});

test("with hardly any memory it still serves some connections", () => {
  const plan = budgetFor(mebibyte, 10_000);
  expect(plan.connectionsMax).toBeGreaterThan(100);
  expect(plan.handshakesMax).toBeGreaterThan(0);
  expect(plan.heldBytesMax).toBeGreaterThan(mebibyte);
});

test("the log line names the limits and their cause", () => {
  expect(describeBudget(budgetFor(256 * mebibyte, 10_000), "--memory")).toBe(
    "7192 connections at most: 899 of them outbound only, 5000 with peers that are not verified. " +
      "128 inbound handshakes at once, 7.4 MiB for all others. 59 MiB for readers that have stopped. " +
      "This follows from 256 MiB of memory (--memory), --connections and ulimit -n",
  );
});
