/**
 * Loads that no program from Debian generates, inside pod a: `paced SECONDS ADDRESS`, `ping SECONDS ADDRESS`,
 * `requests COUNT ADDRESS` over 32 connections, or `connections COUNT ADDRESS`, 32 at once. Prints one object as in
 * loads.ts.
 */
import type { Socket } from "bun";

import { echoPort, httpPort, keptAnswer, lastRequest, request } from "./protocol.ts";
import { percentiles } from "./statistics.ts";

type Exchange = {
  readonly port: number;
  readonly says: string;
  /** The answer's length. */
  readonly answers: number;
  readonly pauseMs: number;
};

const [kind = "", amount = "0", address = ""] = process.argv.slice(2);
const small = "a".repeat(64);

const http = { port: httpPort, says: request, answers: keptAnswer.length };

switch (kind) {
  case "paced":
    await repeat({ ...http, pauseMs: 1 }, 1, inTime());
    break;
  case "ping":
    await repeat({ port: echoPort, says: small, answers: small.length, pauseMs: 0 }, 1, inTime());
    break;
  case "requests":
    await repeat({ ...http, pauseMs: 0 }, 32, (done) => done < Number(amount));
    break;
  case "connections":
    await connectAgain(Number(amount), 32);
    break;
  default:
    throw new Error(`no such load: ${kind}`);
}

function inTime(): () => boolean {
  const until = performance.now() + Number(amount) * 1000;
  return () => performance.now() < until;
}

/** Requests one after the other on each of this many connections, while `goesOn`, given the number done, is true. */
async function repeat(
  exchange: Exchange,
  width: number,
  goesOn: (done: number) => boolean,
): Promise<void> {
  const times: number[] = [];
  const began = performance.now();
  const ended = await Promise.all(
    Array.from({ length: width }, async () => await over(exchange, times, goesOn)),
  );
  const failed = ended.filter((well) => !well).length;
  const seconds = (performance.now() - began) / 1000;
  const latency = percentiles(times);
  console.log(JSON.stringify({ done: times.length, failed, seconds, latency }));
}

/** `count` connections, `width` at once: each sends one request and is ended by the server. */
async function connectAgain(count: number, width: number): Promise<void> {
  const times: number[] = [];
  let left = count;
  let failed = 0;
  const began = performance.now();
  const next = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const at = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (await askOnce().catch(() => false)) times.push((performance.now() - at) * 1000);
      else failed += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, next));
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({ done: count, failed, seconds, latency: percentiles(times) }));
}

/** True if an answer has arrived. */
async function askOnce(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let received = 0;
  await Bun.connect({
    hostname: address,
    port: httpPort,
    socket: {
      open: (socket) => {
        socket.write(lastRequest);
      },
      data: (_socket, chunk) => {
        received += chunk.length;
      },
      close: () => {
        resolve(received > 0);
      },
    },
  });
  return await promise;
}

/** The work of one connection: adds microseconds to `times`; false if it was closed too early. */
async function over(
  exchange: Exchange,
  times: number[],
  goesOn: (done: number) => boolean,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let sent = 0;
  let received = 0;
  const say = (socket: Socket): void => {
    received = 0;
    sent = performance.now();
    socket.write(exchange.says);
  };
  const socket = await Bun.connect({
    hostname: address,
    port: exchange.port,
    socket: {
      data: (self, chunk) => {
        received += chunk.length;
        if (received < exchange.answers) return;
        times.push((performance.now() - sent) * 1000);
        if (!goesOn(times.length)) resolve(true);
        else if (exchange.pauseMs === 0) say(self);
        else setTimeout(say, exchange.pauseMs, self);
      },
      close: () => {
        resolve(false);
      },
    },
  });
  say(socket);
  const well = await promise;
  socket.end();
  return well;
}
