/** Rate limits of status requests: a flood is limited without affecting the kubelet or the pod itself. */
import { expect, test } from "bun:test";

import {
  perSecondMax,
  perSourceMax,
  RequestRates,
  type Requester,
} from "../../../src/status/request-rates.ts";
import { parseHost, sourceKey } from "../../../src/net/address.ts";

const stranger = (host: string): Requester => ({
  key: sourceKey({ bytes: parseHost(host) }),
  isTrusted: false,
});
const trusted = (host: string): Requester => ({ ...stranger(host), isTrusted: true });

/** With `count` requests spread evenly over a second: how many are answered within it, and how many are reset. */
function flood(gate: RequestRates, sources: readonly Requester[], count: number, from = 0): Counts {
  const counts = { begun: 0, reset: 0 };
  for (let index = 0; index < count; index += 1) {
    const now = from + (1000 * index) / count;
    const source = sources[index % sources.length];
    if (source === undefined) throw new Error("no source");
    const waitMs = gate.admit(source, now);
    if (waitMs === null) counts.reset += 1;
    else if (now + waitMs < from + 1000) counts.begun += 1;
  }
  return counts;
}
type Counts = { begun: number; reset: number };

const many = Array.from({ length: 100 }, (_, index) => stranger(`10.0.1.${index}`));

test("one source is limited: a burst at once, as much again in a second, and the rest is reset", () => {
  const { begun, reset } = flood(new RequestRates(), [stranger("10.0.0.1")], 10_000);
  expect(begun).toBeLessThanOrEqual(2 * perSourceMax);
  expect(reset).toBeGreaterThan(9000);
});

test("addresses of one IPv6 network are one source, those of two networks are two", () => {
  const gate = new RequestRates();
  flood(gate, [stranger("fd00::1"), stranger("fd00::ffff:2")], 10_000);
  expect(gate.admit(stranger("fd00::3"), 1000)).not.toBe(0);
  expect(gate.admit(stranger("fd00:0:0:1::3"), 1000)).toBe(0);
});

test("many sources together are limited", () => {
  const { begun } = flood(new RequestRates(), many, 20_000);
  expect(begun).toBeLessThanOrEqual(2 * perSecondMax);
});

test.each([
  ["the pod itself and declared sources of probes", trusted("10.0.0.9"), 0],
  ["one that came before the flood began", stranger("10.0.0.9"), -60_000],
] as const)("%s are admitted at once in a flood from many sources", (_, source, before) => {
  const gate = new RequestRates();
  for (let now = before; now < 0; now += 10_000) gate.admit(source, now);
  for (let second = 0; second < 5; second += 1) {
    flood(gate, many, 20_000, 1000 * second);
    expect(gate.admit(source, 1000 * (second + 1))).toBe(0);
  }
});

test("in such a flood an unknown source waits or is reset", () => {
  const gate = new RequestRates();
  flood(gate, many, 20_000);
  expect(gate.admit(stranger("10.0.0.9"), 1000)).not.toBe(0);
});

test("an early source does not use up the reserve of other early ones", () => {
  const gate = new RequestRates();
  for (const source of [stranger("10.0.0.9"), stranger("10.0.0.8")]) gate.admit(source, -60_000);
  flood(gate, [stranger("10.0.0.8"), ...many], 20_000);
  expect(gate.admit(stranger("10.0.0.9"), 1000)).toBe(0);
});

test("of a hundred thousand sources not all are remembered, and no early one is forgotten for them", () => {
  const gate = new RequestRates();
  const early = stranger("10.0.0.9");
  for (let now = -30_000; now < 0; now += 10_000) gate.admit(early, now);
  for (let index = 0; index < 100_000; index += 1)
    gate.admit({ key: `stranger ${index}`, isTrusted: false }, index / 100);
  expect(gate.isRegular(early.key)).toBeTrue();
  expect(gate.admit(early, 1000)).toBe(0);
});
