/** Who is let in, whatever others hold: outbound connections, a second peer, and all below half of the places. */
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

/** How many one source gets that takes all it can, beside `others` of another one. */
function fill(of: Bounds, others = 0): number {
  let count = 0;
  while (admitInbound(inbound(others + count, { ofSource: count }), of).kind === "admit")
    count += 1;
  return count;
}

test("an outbound connection has a place as long as inbound ones alone are there", () => {
  fc.assert(
    fc.property(bounds, (of) => {
      const count = fill(of);
      expect(count).toBeLessThanOrEqual(of.connectionsMax - of.outboundReserve);
      expect(admitOutbound(inbound(count), of).kind).toBe("admit");
    }),
    { numRuns: 20 },
  );
});

test("below half of the places one source may have them all", () => {
  fc.assert(
    fc.property(bounds, fc.double({ min: 0, max: 0.5, noNaN: true }), (of, part) => {
      const count = Math.floor(part * (of.connectionsMax - of.outboundReserve));
      expect(admitInbound(inbound(count, { ofSource: count }), of).kind).toBe("admit");
    }),
  );
});

test("one alone has eight ninths of what is not kept for outbound ones", () => {
  fc.assert(
    fc.property(bounds, (of) => {
      const places = of.connectionsMax - of.outboundReserve;
      expect(fill(of)).toBeGreaterThanOrEqual(Math.floor((places * 8) / 9));
    }),
    { numRuns: 20 },
  );
});

test("when one has its share, another comes in, and a third", () => {
  const of = { connectionsMax: 10_000, outboundReserve: 1250, strangersMax: 5000 };
  const first = fill(of);
  const second = fill(of, first);
  const third = fill(of, first + second);
  expect([first, second, third]).toEqual([7778, 864, 96]);
});

test("of 500 clients behind one address each has its connection", () => {
  const of = { connectionsMax: 1340, outboundReserve: 168, strangersMax: 5000 };
  expect(fill(of)).toBeGreaterThan(500);
});

test("peers that are not verified make room, the source's own where it has its share", () => {
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

test("a share is never less than nothing", () => {
  expect(shareOf(-5)).toBe(0);
});
