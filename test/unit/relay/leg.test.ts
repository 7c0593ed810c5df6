import { expect, jest, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import * as native from "../../../src/native/native.ts";
import type { Fault } from "../../../src/net/fault.ts";
import { socketHandlers } from "../../../src/net/handlers.ts";
import { LegSocket } from "../../../src/net/leg-socket.ts";
import { Leg } from "../../../src/relay/leg.ts";
import { splice } from "../../../src/relay/splice.ts";
import { FakeSocket } from "../../support/fake-socket.ts";

const leaf = issueLeaf(issueAuthority("a"), {
  spiffeId: "spiffe://a.example/b",
  ips: ["127.0.0.1"],
});
const hostname = "127.0.0.1";

function plain(): Leg {
  return new Leg(new LegSocket(false), "waiting");
}

function open(socket: Bun.Socket<LegSocket>): void {
  socket.data.attach(socket);
}

/** Two legs between a writer that never stops and a reader that never reads. */
async function jammed(tls: boolean): Promise<{ downstream: Leg; upstream: Leg; stop: () => void }> {
  const { promise, resolve } = Promise.withResolvers<Leg>();
  const reader = Bun.listen({
    hostname,
    port: 0,
    socket: { open: (one) => one.pause(), data: () => undefined },
  });
  const listener = Bun.listen<LegSocket>({
    hostname,
    port: 0,
    ...(tls ? { tls: { cert: leaf.certificatePem, key: leaf.keyPem } } : {}),
    socket: {
      ...socketHandlers,
      open: (socket) => {
        const leg = new Leg(new LegSocket(tls), tls ? "setting-up" : "waiting");
        socket.data = leg.socket;
        open(socket);
        if (!tls) leg.pause();
        resolve(leg);
      },
    },
  });
  const chunk = new Uint8Array(262_144);
  const write = (socket: Bun.Socket): void => {
    while (socket.write(chunk) === chunk.length);
  };
  const start = tls ? { handshake: write } : { open: write };
  const writer = await Bun.connect({
    hostname,
    port: listener.port,
    ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: { ...start, drain: write, data: () => undefined },
  });
  const upstream = plain();
  await Bun.connect<LegSocket>({
    hostname,
    port: reader.port,
    data: upstream.socket,
    socket: { ...socketHandlers, open },
  });
  const downstream = await promise;
  if (tls) await downstream.ready;
  void splice(downstream, upstream, 1000);
  const stop = (): void => {
    writer.terminate();
    listener.stop(true);
    reader.stop(true);
  };
  return { downstream, upstream, stop };
}

test.each([
  ["plain", false],
  ["TLS", true],
] as const)(
  "at most 1 MiB is buffered in a direction whose reader does not read, %s",
  async (_, tls) => {
    const { downstream, upstream, stop } = await jammed(tls);
    let max = 0;
    for (let same = 0, before = -1; same < 300 || max === 0; same += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (downstream.bytesRead !== before) same = 0;
      before = downstream.bytesRead;
      max = Math.max(max, upstream.heldBytes);
    }
    stop();
    expect(downstream.bytesRead).toBeGreaterThan(1_000_000);
    expect(max).toBeLessThanOrEqual(1 << 20);
  },
);

test("a leg joined with one that has already closed is ended", async () => {
  const [gone, other] = [plain(), plain()];
  gone.onClose("ECONNRESET");
  void splice(other, gone, 1000);
  await other.gone;
  expect(other.ending).toBe("cut");
});

test("a leg that is joined before it is ready carries nothing, and both legs are ended", async () => {
  const [early, other] = [new Leg(new LegSocket(true), "setting-up"), plain()];
  void splice(other, early, 1000);
  await Promise.all([early.gone, other.gone]);
  expect([early.ending, other.ending]).toEqual(["cut", "cut"]);
});

/** A plain leg on a socket without event handling. */
function faked(): { readonly leg: Leg; readonly socket: FakeSocket } {
  const [leg, socket] = [plain(), new FakeSocket(0)];
  socket.data = leg.socket;
  leg.socket.attach(socket as never);
  return { leg, socket };
}

test("a leg whose write has failed is cut by a reset, whatever its close says", async () => {
  const [one, other] = [faked(), faked()];
  void splice(one.leg, other.leg, 1000);
  one.socket.isReset = true;
  socketHandlers.data(other.socket as never, new Uint8Array(1) as never);
  socketHandlers.close(one.socket as never, null as never);
  await other.leg.gone;
  expect([one.leg.ending, one.leg.fault, other.leg.ending]).toEqual(["cut", "ECONNRESET", "cut"]);
});

test("a socket that stays when both directions have ended is ended after a while", async () => {
  const sides = [faked(), faked()] as const;
  void splice(sides[0].leg, sides[1].leg, 1);
  for (const { socket } of sides) socketHandlers.end(socket as never);
  await Promise.all(sides.map(async ({ leg }) => await leg.gone));
  expect(sides.map(({ leg }) => leg.fault)).toEqual(["ETIMEDOUT", ""]);
  expect(sides.map(({ socket }) => socket.acts.at(-1))).toEqual(["terminate", "terminate"]);
});

test("two sockets that close in order leave no timer behind", async () => {
  jest.useFakeTimers();
  try {
    const sides = [faked(), faked()] as const;
    void splice(sides[0].leg, sides[1].leg, 60_000);
    for (const { socket } of sides) socketHandlers.end(socket as never);
    expect(jest.getTimerCount()).toBe(1);
    for (const { socket } of sides) socketHandlers.close(socket as never, null as never);
    await Promise.all(sides.map(async ({ leg }) => await leg.gone));
    expect(sides.map(({ leg }) => leg.ending)).toEqual(["clean", "clean"]);
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});

test("a leg whose write has failed is ended as soon as it must stop reading", () => {
  const [one, other] = [faked(), faked()];
  void splice(one.leg, other.leg, 1000);
  one.socket.isReset = true;
  socketHandlers.data(other.socket as never, new Uint8Array(1) as never);
  expect(one.leg.ending).toBe("open");
  // Bytes from before the reset, for which the other leg has no room.
  socketHandlers.data(one.socket as never, new Uint8Array(1) as never);
  expect([one.leg.ending, one.leg.fault, other.leg.ending]).toEqual(["cut", "ECONNRESET", "cut"]);
  expect([one.socket.acts.at(-1), other.socket.acts.at(-1)]).toEqual(["terminate", "terminate"]);
});

type Accepted = {
  readonly leg: Leg;
  readonly client: Bun.Socket;
  /** How the leg ended for its client: "end", or why it closed without one. */
  readonly ending: Promise<string>;
  readonly stop: () => void;
};

/** An accepted plain leg, and its client. */
async function accepted(): Promise<Accepted> {
  const { promise, resolve } = Promise.withResolvers<Leg>();
  const { promise: ending, resolve: settle } = Promise.withResolvers<string>();
  const listener = Bun.listen<LegSocket>({
    hostname,
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...socketHandlers,
      open: (socket) => {
        const leg = plain();
        socket.data = leg.socket;
        open(socket);
        resolve(leg);
      },
    },
  });
  const client = await Bun.connect({
    hostname,
    port: listener.port,
    socket: {
      data: () => undefined,
      end: () => {
        settle("end");
      },
      close: (_, error) => {
        settle(String(error));
      },
    },
  });
  const stop = (): void => {
    listener.stop(true);
  };
  return { leg: await promise, client, ending, stop };
}

/** Handles no event: the next call on the leg's socket is the write. */
function until(leg: Leg, state: native.TcpState): void {
  while (native.tcpState(leg.socket.fd) !== state);
}

test("an end that arrived before a reset is an end, even if a write finds the reset first", async () => {
  const [one, other] = [await accepted(), await accepted()];
  void splice(one.leg, other.leg, 1000);
  one.client.end();
  until(one.leg, "close-wait");
  // It has no reader: the kernel answers with RST.
  other.leg.onData(new Uint8Array(1));
  until(one.leg, "other");
  other.leg.onData(new Uint8Array(1));
  expect(await other.ending).toBe("end");
  one.stop();
  other.stop();
});

test("a reset found first by a write is no end for the other leg", async () => {
  const [one, other] = [await accepted(), await accepted()];
  void splice(one.leg, other.leg, 1000);
  one.client.terminate();
  until(one.leg, "other");
  other.leg.onData(new Uint8Array(1));
  expect(await other.ending).toContain("ECONNRESET");
  expect(one.leg.fault).toBe("ECONNRESET");
  one.stop();
  other.stop();
});

test("the proxy's own data is not counted, whether it arrives or not", async () => {
  const [one, gone] = [await accepted(), await accepted()];
  one.leg.say(new Uint8Array(32));
  expect(one.leg.bytesWritten).toBe(0);
  gone.client.terminate();
  until(gone.leg, "other");
  gone.leg.say(new Uint8Array(32));
  expect(gone.leg.bytesWritten).toBe(0);
  one.stop();
  gone.stop();
});

/** An accepted leg with a screen, and its client. */
async function screened(
  pass: (chunk: Uint8Array) => Uint8Array | Fault,
): Promise<{ leg: Leg; client: Bun.Socket; ended: Promise<unknown> }> {
  const { promise, resolve } = Promise.withResolvers<Leg>();
  const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
  const listener = Bun.listen<LegSocket>({
    hostname,
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...socketHandlers,
      open: (socket) => {
        const leg = new Leg(new LegSocket(true), "setting-up");
        socket.data = leg.socket;
        open(socket);
        leg.pause();
        resolve(leg);
      },
    },
  });
  const client = await Bun.connect({
    hostname,
    port: listener.port,
    socket: { data: () => undefined, close: (_, error) => end(error) },
  });
  const leg = await promise;
  leg.startScreened({ pass, end: () => undefined });
  listener.stop();
  return { leg, client, ended };
}

test("a screened leg is read at once, and its partner gets what the screen passes", async () => {
  const seen: string[] = [];
  const waiting = Promise.withResolvers<null>();
  const { leg, client } = await screened((chunk) => {
    seen.push(Buffer.from(chunk).toString());
    waiting.resolve(null);
    return chunk.subarray(1);
  });
  client.write("abc");
  await waiting.promise;
  const { promise, resolve } = Promise.withResolvers<string>();
  const reader = Bun.listen({
    hostname,
    port: 0,
    socket: { data: (_, chunk) => resolve(chunk.toString()) },
  });
  const partner = plain();
  const options = { hostname, port: reader.port, data: partner.socket };
  await Bun.connect<LegSocket>({ ...options, socket: { ...socketHandlers, open } });
  void splice(leg, partner, 1000);
  expect([await promise, seen]).toEqual(["bc", ["abc"]]);
  leg.terminate("");
  reader.stop(true);
});

test("a refusal by the screen ends the leg by RST, with the screen's fault", async () => {
  const { leg, client, ended } = await screened(() => "PROBE_REFUSED");
  client.write("abc");
  await leg.gone;
  expect([leg.ending, leg.fault]).toEqual(["cut", "PROBE_REFUSED"]);
  expect(await ended).toMatchObject({ code: "ECONNRESET" });
});
