/** Which peers are inspected during their handshakes: each check costs three system calls per socket. */
import { expect, test } from "bun:test";

import { unverifiedLimits } from "../../../src/config.ts";
import { LegSocket } from "../../../src/net/leg-socket.ts";
import { Leg } from "../../../src/relay/leg.ts";
import { Unverified } from "../../../src/tls/unverified.ts";
import type { Visit } from "../../../src/tls/visit.ts";

type Case = {
  readonly peers: Unverified;
  /** The number of sockets in each check. */
  readonly counts: number[];
  /** The clock, in milliseconds. */
  at: number;
  /** The bytes that each socket is found to have read. */
  bytes: number;
  /** Called at each turn, even without a peer to inspect. */
  turned: () => void;
};

/** Peers with a clock of their own. */
function setUp(bytesMax: number, handshakesMax = 8): Case {
  const set = { at: 0, bytes: 0, turned: (): void => undefined, counts: [] as number[] };
  const bounds = { handshakesMax, unverifiedBytesMax: bytesMax, countsSockets: false };
  const peers = new Unverified({
    bounds: () => {
      set.turned();
      return bounds;
    },
    replyMsMax: 10_000,
    refused: () => undefined,
    now: () => set.at,
    look: (_fds, count, into) => {
      set.counts.push(count);
      for (let index = 0; index < count; index += 1) into[2 * index] = set.bytes;
    },
  });
  return Object.assign(set, { peers });
}

async function once(set: Case, isSo: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  set.turned = () => {
    if (isSo()) resolve();
  };
  await promise;
}

function enter({ peers }: Case, count: number): readonly Visit[] {
  return Array.from({ length: count }, () =>
    peers.enter(new Leg(new LegSocket(true), "setting-up"), { source: "a", host: "a" }),
  );
}

function leave({ peers }: Case, visits: readonly Visit[]): void {
  for (const visit of visits) peers.leave(visit);
}

/** Room for two of them, whatever they send. */
const roomForTwo = 2 * unverifiedLimits.handshakeBytesMax;

test("while all of them fit, one is inspected only if it takes long", async () => {
  const set = setUp(roomForTwo);
  const visits = enter(set, 2);
  let turns = 0;
  await once(set, () => (turns += 1) > 6);
  expect(set.counts).toEqual([]);
  set.at = unverifiedLimits.calmMs;
  await once(set, () => set.counts.length > 0);
  expect(set.counts).toEqual([2]);
  leave(set, visits);
});

test("if together they could exceed the room, all are inspected from the start", async () => {
  const set = setUp(roomForTwo);
  const visits = enter(set, 3);
  await once(set, () => set.counts.length > 0);
  expect(set.counts).toEqual([3]);
  leave(set, visits);
});

test("if one waits for a place, all are inspected from the start", async () => {
  const set = setUp(roomForTwo, 1);
  const visits = enter(set, 2);
  for (const visit of visits) void set.peers.turn(visit, 10_000);
  await once(set, () => set.counts.length > 0);
  expect(set.counts).toEqual([2]);
  leave(set, visits);
});

test("before one is closed for another, all not yet inspected are, once", async () => {
  const set = setUp(roomForTwo);
  const [first, second] = enter(set, 2);
  let turns = 0;
  await once(set, () => (turns += 1) > 2);
  set.at = unverifiedLimits.calmMs - 1;
  set.bytes = unverifiedLimits.freeBytes + 1;
  expect(set.peers.makeRoom({ source: "b", host: "b" })).toBe(true);
  expect(set.counts).toEqual([2]);
  expect([first?.bytes, second?.bytes]).toEqual([1, 1]);
  expect(set.peers.makeRoom({ source: "b", host: "b" })).toBe(false);
  expect(set.counts).toEqual([2]);
  leave(
    set,
    [first, second].filter((visit) => visit !== undefined),
  );
});
