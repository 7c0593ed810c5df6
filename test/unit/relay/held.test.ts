/** The sum of the legs' buffers: exact after every step, and never over its limit without relief. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { Held, HeldQueue } from "../../../src/relay/held.ts";

function held(bytesMax: number, relieve: () => void = () => undefined): Held {
  return new Held({ bytesMax, encryptedBytesMax: 100, narrowReceiveBytes: 0 }, relieve);
}

test("a partly written chunk counts in full until its last byte is written", () => {
  const sum = held(1e9);
  const queue = new HeldQueue(sum);
  queue.push(new Uint8Array(1000), 400);
  expect([queue.bytes, sum.bytes]).toEqual([600, 1000]);
  expect(queue.flush({ write: () => 100 })).toBe(false);
  expect([queue.bytes, sum.bytes]).toEqual([500, 1000]);
  expect(queue.flush({ write: (chunk) => chunk.length })).toBe(true);
  expect([queue.bytes, sum.bytes]).toEqual([0, 0]);
});

test("encrypted data that waits counts once, from the first chunk to the last", () => {
  const sum = held(1e9);
  const queue = new HeldQueue(sum);
  queue.overheadBytes = sum.encryptedBytesMax;
  queue.push(new Uint8Array(10));
  queue.push(new Uint8Array(10));
  expect(sum.bytes).toBe(120);
  queue.flush({ write: (chunk) => (queue.bytes === 20 ? chunk.length : 0) });
  expect(sum.bytes).toBe(110);
  queue.clear();
  expect(sum.bytes).toBe(0);
});

test("after any sequence of push, write and clear, the sum equals the queues and ends at 0", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), size: fc.integer({ min: 1, max: 1000 }) }),
    fc.record({ kind: fc.constant("write" as const), size: fc.nat(3000) }),
    fc.record({ kind: fc.constant("clear" as const), size: fc.constant(0) }),
    fc.record({ kind: fc.constant("take" as const), size: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), step), { maxLength: 100 }), (steps) => {
      const sum = held(1e9);
      const queues = [0, 100, 0].map((overhead) => {
        const queue = new HeldQueue(sum);
        queue.overheadBytes = overhead;
        return queue;
      });
      for (const [index, { kind, size }] of steps) {
        const queue = queues[index];
        if (queue === undefined) continue;
        const before = queue.bytes;
        let left = size;
        if (kind === "push") queue.push(new Uint8Array(size));
        else if (kind === "clear") queue.clear();
        else if (kind === "take")
          expect(queue.take().reduce((total, { length }) => total + length, 0)).toBe(before);
        else
          queue.flush({
            write: (chunk) => {
              const written = Math.min(left, chunk.length);
              left -= written;
              return written;
            },
          });
        expect(sum.bytes).toBe(queues.reduce((total, one) => total + one.countedBytes, 0));
        expect(queue.countedBytes).toBeGreaterThanOrEqual(queue.bytes);
      }
      for (const queue of queues) queue.clear();
      expect(sum.bytes).toBe(0);
    }),
  );
});

test("relief is requested as soon as the sum exceeds its limit, but not by relief itself", () => {
  let asked = 0;
  const sum: Held = held(1000, () => {
    asked += 1;
    sum.add(1);
    queue.clear();
  });
  const queue = new HeldQueue(sum);
  queue.push(new Uint8Array(600));
  expect([asked, sum.isShort]).toEqual([0, true]);
  queue.push(new Uint8Array(600));
  expect([asked, sum.bytes]).toEqual([1, 1]);
});

test("a leg that was ended by its own relief writes nothing more", () => {
  const queue = new HeldQueue(held(1e9));
  queue.push(new Uint8Array(10));
  queue.push(new Uint8Array(10));
  let writes = 0;
  const flushed = queue.flush({
    write: () => {
      writes += 1;
      queue.clear();
      return 0;
    },
  });
  expect([flushed, writes, queue.bytes]).toEqual([true, 1, 0]);
});
