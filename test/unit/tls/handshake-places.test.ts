/** Places for inbound handshakes: whose turn it is, and who is paused. */
import { expect, test } from "bun:test";

import { unverifiedLimits } from "../../../src/config.ts";
import { LegSocket } from "../../../src/net/leg-socket.ts";
import { Leg } from "../../../src/relay/leg.ts";
import { HandshakePlaces } from "../../../src/tls/handshake-places.ts";
import { Visit } from "../../../src/tls/visit.ts";

const clock = { ms: 0 };

function placesFor(count: number): HandshakePlaces {
  return new HandshakePlaces(
    () => count,
    () => clock.ms,
  );
}

/** A peer with pending data. */
function visitOf(source: string): Visit {
  const visit = new Visit(
    new Leg(new LegSocket(true), "setting-up"),
    { source, host: source },
    clock.ms,
  );
  visit.isReady = true;
  return visit;
}

test("sources take turns, and the peers of one source are served in order", () => {
  const places = placesFor(1);
  const visits = ["a", "a", "a", "b"].map(visitOf);
  for (const visit of visits) void places.turn(visit, 10_000);
  const served: number[] = [];
  for (let turn = 0; turn < visits.length; turn += 1) {
    const now = visits.findIndex(({ placedAt }, at) => placedAt !== null && !served.includes(at));
    served.push(now);
    const visit = visits[now];
    if (visit !== undefined) places.leave(visit);
  }
  expect(served).toEqual([0, 1, 3, 2]);
  expect(places.isCrowded).toBe(false);
});

test("a peer without pending data gets no place", () => {
  const places = placesFor(1);
  const [first, silent, ready] = [visitOf("a"), visitOf("b"), visitOf("c")];
  silent.isReady = false;
  for (const visit of [first, silent, ready]) void places.turn(visit, 10_000);
  places.leave(first);
  expect([silent.placedAt, ready.placedAt]).toEqual([null, clock.ms]);
});

test("a long handshake is paused for one that waits, and continues when a place is free", () => {
  const places = placesFor(1);
  const [long, next] = [visitOf("a"), visitOf("b")];
  for (const visit of [long, next]) void places.turn(visit, 10_000);
  places.park([long, next]);
  expect(long.placedAt).not.toBeNull();
  clock.ms += unverifiedLimits.leaseMsMax;
  places.park([long, next]);
  places.admit();
  expect([long.placedAt, next.placedAt]).toEqual([null, clock.ms]);
  expect(long.leg.socket.isPaused).toBe(true);
  places.leave(next);
  expect([long.placedAt, long.leg.socket.isPaused]).toEqual([clock.ms, false]);
});
