/** Two legs between peers that do anything at any time: what arrives, how each leg ends, and what it leaves behind. */
import { afterAll, beforeAll, expect, jest, test } from "bun:test";
import fc from "fast-check";

import { socketHandlers } from "../../../src/net/handlers.ts";
import { LegSocket } from "../../../src/net/leg-socket.ts";
import { Held } from "../../../src/relay/held.ts";
import { Leg } from "../../../src/relay/leg.ts";
import { splice } from "../../../src/relay/splice.ts";
import { FakeSocket, patternOf } from "../../support/fake-socket.ts";

/** One leg and its peer. */
type Side = {
  readonly leg: Leg;
  readonly socket: FakeSocket;
  /** Bytes that its peer has sent. */
  sent: number;
  hasPeerEnded: boolean;
};

type Pair = { readonly sides: readonly [Side, Side]; readonly held: Held; isJoined: boolean };

type Shape = {
  readonly tls: readonly [boolean, boolean];
  /** Bytes that arrived before the relay existed. */
  readonly earlyBytes: readonly [number, number];
  /** The limit of the buffers; a leg that exceeds it is ended. */
  readonly bytesMax: number;
  /** Whether the close handler is called within terminate(). */
  readonly closesAtOnce: boolean;
};

const encryptedBytesMax = 100;

// No time passes: a timer that is left behind is found.
beforeAll(() => {
  jest.useFakeTimers();
});
afterAll(() => {
  jest.useRealTimers();
});

function makePair({ tls, earlyBytes, bytesMax, closesAtOnce }: Shape): Pair {
  const relieve = (): void => {
    const [most] = pair.sides.toSorted(
      (one, other) => other.leg.countedBytes - one.leg.countedBytes,
    );
    most?.leg.terminate("HELD_MEMORY");
  };
  const held = new Held({ bytesMax, encryptedBytesMax, narrowReceiveBytes: 1 }, relieve);
  const pair: Pair = {
    sides: [makeSide(tls[0], held, closesAtOnce), makeSide(tls[1], held, closesAtOnce)],
    held,
    isJoined: false,
  };
  for (const who of [0, 1] as const)
    if (earlyBytes[who] > 0) act(pair, { who, what: "data", bytes: earlyBytes[who] });
  return pair;
}

function makeSide(tls: boolean, held: Held, closesAtOnce: boolean): Side {
  const leg = new Leg(new LegSocket(tls), "waiting", held);
  const socket = new FakeSocket(0);
  socket.data = leg.socket;
  leg.socket.attach(socket as never);
  leg.pause();
  if (closesAtOnce) socket.onTerminate = () => socketHandlers.close(socket as never, null as never);
  return { leg, socket, sent: 0, hasPeerEnded: false };
}

type Step = { readonly who: 0 | 1; readonly what: What; readonly bytes: number };
const whats = ["data", "end", "room", "reset", "close", "fault", "terminate", "join"] as const;
type What = (typeof whats)[number];

/** Ordinary events are more frequent than those that end a leg. */
const weights: Record<What, number> = {
  data: 8,
  room: 8,
  end: 2,
  join: 2,
  reset: 1,
  close: 1,
  fault: 1,
  terminate: 1,
};
const anyStep: fc.Arbitrary<Step> = fc.record({
  who: fc.constantFrom(0 as const, 1 as const),
  what: fc.oneof(...whats.map((what) => ({ weight: weights[what], arbitrary: fc.constant(what) }))),
  bytes: fc.integer({ min: 1, max: 400 }),
});
const anyShape: fc.Arbitrary<Shape> = fc.record({
  tls: fc.tuple(fc.boolean(), fc.boolean()),
  earlyBytes: fc.tuple(fc.constantFrom(0, 0, 300), fc.constantFrom(0, 0, 300)),
  bytesMax: fc.constantFrom(1e9, 2000),
  closesAtOnce: fc.boolean(),
});

/** Applies it in any state of the leg, unlike a kernel. */
function act(pair: Pair, { who, what, bytes }: Step): void {
  const { leg, socket } = pair.sides[who];
  switch (what) {
    case "data":
      socketHandlers.data(socket as never, patternOf(pair.sides[who].sent, bytes) as never);
      pair.sides[who].sent += bytes;
      return;
    case "end":
      // A reset found first by a write looks like an end.
      pair.sides[who].hasPeerEnded = !socket.isReset;
      socketHandlers.end(socket as never);
      return;
    case "room":
      socket.room += 4 * bytes;
      socketHandlers.drain(socket as never);
      return;
    case "reset":
      socket.isReset = true;
      return;
    case "close":
    case "fault":
      socket.isGone = true;
      socketHandlers.close(socket as never, (what === "close" ? null : "ECONNRESET") as never);
      return;
    case "terminate":
      leg.terminate("");
      return;
    case "join":
      if (!pair.isJoined) void splice(pair.sides[0].leg, pair.sides[1].leg, 60_000);
      pair.isJoined = true;
  }
}

/**
 * Whether a kernel and Bun could do that now. Nothing follows an end, and a paused socket delivers no bytes; a FIN may
 * have been read with the bytes before it. If a write has failed, Bun reports nothing while the socket is paused, else
 * the bytes from before the reset, and then an end (plain) or its close.
 */
function isPossible(pair: Pair, { who, what }: Step): boolean {
  const { leg, socket, hasPeerEnded } = pair.sides[who];
  if (what === "join" || what === "terminate") return true;
  if (socket.isGone || (socket.hasFailed && socket.isPaused)) return false;
  if (what === "data")
    return !socket.isPaused && !hasPeerEnded && (!socket.isReset || socket.hasFailed);
  if (what === "end")
    return !hasPeerEnded && (!socket.isReset || (socket.hasFailed && !leg.socket.tls));
  return true;
}

/** Lets everything finish: the peers read, send no more, and the sockets close. */
function finish(pair: Pair): void {
  const steps: Step[] = [{ who: 0, what: "join", bytes: 0 }];
  for (const what of ["room", "end", "room", "end", "room", "close"] as const)
    for (const who of [0, 1] as const) steps.push({ who, what, bytes: 1e6 });
  for (const step of steps) if (isPossible(pair, step)) act(pair, step);
}

function expectWhole({ sides: [one, other], held, isJoined }: Pair): void {
  expect(held.bytes).toBe(one.leg.countedBytes + other.leg.countedBytes);
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    expect([to.socket.wrongAt, to.socket.wroteAfterEnd]).toEqual([null, false]);
    expect(to.socket.endsSent).toBeLessThanOrEqual(1);
    if (!isJoined) expect(to.socket.taken).toBe(0);
    if (to.socket.hasFailed && to.socket.isPaused) expect(to.leg.closed).toBe(true);
    // On a plain socket Bun's end() closes both directions.
    if (to.socket.acts.includes("end")) expect(to.hasPeerEnded).toBe(true);
    if (isJoined && from.leg.ending === "clean" && !to.leg.closed)
      expect(to.socket.endsSent).toBe(Number(to.leg.heldBytes === 0));
    if (from.leg.closed || to.leg.closed || !isJoined) continue;
    // Every byte is written or waits, the end follows the last one, and nothing is read while any waits.
    expect(to.socket.taken + to.leg.heldBytes).toBe(from.sent);
    expect(to.socket.endsSent).toBe(Number(from.hasPeerEnded && to.leg.heldBytes === 0));
    if (!from.hasPeerEnded) expect(from.socket.isPaused).toBe(to.leg.heldBytes > 0);
  }
  if (isJoined && (one.leg.ending === "cut" || other.leg.ending === "cut"))
    expect([one.leg.closed, other.leg.closed]).toEqual([true, true]);
}

/** A leg that ended in order has sent everything for it, and then its end. */
function expectHonest({ sides: [one, other] }: Pair): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    if (to.socket.endsSent > 0) expect(to.socket.taken).toBe(from.sent);
    if (to.leg.ending === "clean") expect(to.socket.endsSent).toBe(1);
    if (to.leg.ending === "cut") expect(from.leg.ending).not.toBe("open");
  }
}

async function expectGone({ sides, held }: Pair): Promise<void> {
  expect(jest.getTimerCount()).toBe(0);
  expect(sides.map(({ leg }) => leg.closed)).toEqual([true, true]);
  await Promise.all(sides.map(({ leg }) => leg.gone));
  expect([held.bytes, ...sides.map(({ leg }) => leg.heldBytes)]).toEqual([0, 0, 0]);
}

test("between peers with any behaviour, bytes arrive in order or both legs are cut", async () => {
  await fc.assert(
    fc.asyncProperty(anyShape, fc.array(anyStep, { maxLength: 60 }), async (shape, steps) => {
      const pair = makePair(shape);
      for (const step of steps) {
        if (!isPossible(pair, step)) continue;
        act(pair, step);
        expectWhole(pair);
      }
      finish(pair);
      expectHonest(pair);
      await expectGone(pair);
    }),
    { numRuns: 2000 },
  );
});

test("after any events in any order a leg ends once, frees its buffers and writes no more", async () => {
  await fc.assert(
    fc.asyncProperty(anyShape, fc.array(anyStep, { maxLength: 60 }), async (shape, steps) => {
      const pair = makePair(shape);
      const ends: (string | null)[] = [null, null];
      for (const step of steps) {
        act(pair, step);
        for (const [at, { leg, socket }] of pair.sides.entries()) {
          expect(socket.wroteAfterEnd).toBe(false);
          expect(socket.acts.filter((one) => one === "terminate").length).toBeLessThanOrEqual(1);
          if (!leg.closed) continue;
          expect([leg.countedBytes, leg.heldBytes]).toEqual([0, 0]);
          const end = `${leg.ending} ${leg.fault}`;
          expect(end).toBe((ends[at] ??= end));
        }
      }
      for (const { leg } of pair.sides) leg.terminate("");
      await expectGone(pair);
    }),
    { numRuns: 2000 },
  );
});
