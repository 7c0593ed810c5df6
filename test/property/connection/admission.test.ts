/**
 * Who is admitted, whatever others hold: outbound connections, a second peer, and any client below half of the
 * places.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";

import {
  admitInbound,
  admitOutbound,
  freePlaces,
  shareOf,
  type Bounds,
  type PlaceCounts,
} from "../../../src/connection/admission.ts";

const bounds = fc.integer({ min: 2, max: 20_000 }).map((connectionsMax) => ({
  connectionsMax,
  outboundReserve: Math.ceil(connectionsMax / 8),
  strangersMax: Math.ceil(connectionsMax / 2),
}));

function inbound(count: number, of: Partial<PlaceCounts> = {}): PlaceCounts {
  const none = { strangers: 0, unverified: 0, ofSource: 0, unverifiedOfSource: 0 };
  return { live: count, inbound: count, ...none, ...of };
}

/** How many places one source gets if it takes all it can, beside `others` held by another one. */
function fill(of: Bounds, others = 0): number {
  let count = 0;
  while (admitInbound(inbound(others + count, { ofSource: count }), of).kind === "admit")
    count += 1;
  return count;
}

test("an outbound connection has a place as long as there are only inbound ones", () => {
  fc.assert(
    fc.property(bounds, (of) => {
      const count = fill(of);
      expect(count).toBeLessThanOrEqual(of.connectionsMax - of.outboundReserve);
      expect(admitOutbound(inbound(count), of).kind).toBe("admit");
    }),
    { numRuns: 20 },
  );
});

test("one source may have all places below half", () => {
  fc.assert(
    fc.property(bounds, fc.double({ min: 0, max: 0.5, noNaN: true }), (of, part) => {
      const count = Math.floor(part * (of.connectionsMax - of.outboundReserve));
      expect(admitInbound(inbound(count, { ofSource: count }), of).kind).toBe("admit");
    }),
  );
});

test("a single source has eight ninths of the places not reserved for outbound connections", () => {
  fc.assert(
    fc.property(bounds, (of) => {
      const places = of.connectionsMax - of.outboundReserve;
      expect(fill(of)).toBeGreaterThanOrEqual(Math.floor((places * 8) / 9));
    }),
    { numRuns: 20 },
  );
});

test("after one source has its share, a second and a third are admitted", () => {
  const of = { connectionsMax: 10_000, outboundReserve: 1250, strangersMax: 5000 };
  const first = fill(of);
  const second = fill(of, first);
  const third = fill(of, first + second);
  expect([first, second, third]).toEqual([7778, 864, 96]);
});

test("500 clients behind one address all have a connection", () => {
  const of = { connectionsMax: 1340, outboundReserve: 168, strangersMax: 5000 };
  expect(fill(of)).toBeGreaterThan(500);
});

test("unverified peers make room, those of a source that has its share first", () => {
  fc.assert(
    fc.property(bounds, fc.nat(20_000), fc.nat(20_000), (of, live, strangers) => {
      const places = inbound(live, { strangers, unverified: strangers });
      const { kind } = admitInbound(places, of);
      const full = freePlaces(places, of) <= 0 || strangers >= of.strangersMax;
      expect(kind).toBe(full && strangers === 0 ? "refuse" : full ? "evict" : "admit");
    }),
  );
  const of = { connectionsMax: 1000, outboundReserve: 100, strangersMax: 1000 };
  const own = { ofSource: 850, unverifiedOfSource: 1 };
  expect(admitInbound(inbound(850, own), of)).toEqual({
    kind: "evict",
    whose: "source",
    limit: "share",
  });
  expect(admitInbound(inbound(850, { ofSource: 850 }), of)).toEqual({
    kind: "refuse",
    limit: "share",
  });
});

test("a share is never negative", () => {
  expect(shareOf(-5)).toBe(0);
});
