/**
 * Connections that stay open until stdin ends, inside pod a: `idle COUNT ADDRESS`, each of which has exchanged a
 * byte, or `stalled COUNT ADDRESS`, each of which has filled all buffers on the way to a reader that does not read.
 * Prints "standing" to stderr when they do; prints one object as in loads.ts.
 */
import type { Socket } from "bun";

import { deafPort, echoPort } from "./protocol.ts";

const [kind = "", amount = "0", hostname = ""] = process.argv.slice(2);
const count = Number(amount);
const isStalled = kind === "stalled";
const standing = new Set<Socket>();
const chunk = Buffer.alloc(1 << 16);
const calmMs = 1000;
/** No event reports that the buffers are full: it is assumed when nothing was written for a second. */
const calm = Promise.withResolvers<void>();
const timer = setTimeout(calm.resolve, calmMs);

const seconds = await openAll();
if (isStalled) await calm.promise;
console.error("standing");
await Bun.stdin.text();
const failed = count - standing.size;
for (const socket of standing) socket.terminate();
console.log(JSON.stringify({ done: count, failed, seconds, latency: null }));

/** Opens sixteen at once; returns the time it took. */
async function openAll(): Promise<number> {
  const began = performance.now();
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await open();
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return (performance.now() - began) / 1000;
}

/** Resolves when the connection is established, or has failed. */
async function open(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stands = (socket: Socket): void => {
    standing.add(socket);
    resolve();
  };
  const fail = (): void => {
    resolve();
  };
  const socket = {
    open: (self: Socket) => {
      if (!isStalled) self.write("a");
      else {
        stands(self);
        pour(self);
      }
    },
    data: stands,
    drain: (self: Socket) => {
      if (isStalled) pour(self);
    },
    close: (self: Socket) => {
      standing.delete(self);
      fail();
    },
    error: fail,
    connectError: fail,
  };
  Bun.connect({ hostname, port: isStalled ? deafPort : echoPort, socket }).catch(fail);
  await promise;
}

function pour(socket: Socket): void {
  while (socket.write(chunk) === chunk.length);
  timer.refresh();
}
