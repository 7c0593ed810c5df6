import { expect, test } from "bun:test";
import fc from "fast-check";

import { parseFrame } from "../../../../src/tools/demo/frame.ts";
import { reassemble, type Piece } from "../../../../src/tools/demo/reassembly.ts";
import { walkRecords } from "../../../../src/tools/demo/tls-records.ts";
import { readWire } from "../../../../src/tools/demo/wire.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

/** Frames that pass the Ethernet, IP and protocol checks more often than random bytes. */
const likelyFrame = fc
  .tuple(fc.constantFrom(0x0800, 0x86dd), bytes(120))
  .map(([etherType, body]) => {
    const frame = new Uint8Array(14 + body.length);
    new DataView(frame.buffer).setUint16(12, etherType);
    frame.set(body, 14);
    if (body.length > 9) frame[14] = etherType === 0x0800 ? 0x45 : 0x60;
    if (body.length > 9) frame[14 + (etherType === 0x0800 ? 9 : 6)] = 6;
    return frame;
  });

test("any frames are parsed or ignored, without a crash", () => {
  fc.assert(
    fc.property(fc.oneof(bytes(200), likelyFrame), (frame) => {
      const segment = parseFrame(frame);
      if (segment === null) return;
      expect(segment.payload.length).toBeLessThanOrEqual(frame.length - 14 - 20 - 20);
    }),
  );
});

test("any captured frames give a report", () => {
  fc.assert(
    fc.property(fc.array(likelyFrame, { maxLength: 5 }), (frames) => {
      expect(readWire(frames, [], ["text"]).frames).toBe(0);
    }),
  );
});

test("any bytes are split into records and foreign bytes", () => {
  fc.assert(
    fc.property(bytes(300), (stream) => {
      const walk = walkRecords(stream);
      expect(walk.foreignBytes).toBeGreaterThanOrEqual(0);
      expect(walk.foreignBytes).toBeLessThanOrEqual(stream.length);
    }),
  );
});

test("records are counted whatever they contain", () => {
  const record = fc.record({ kind: fc.integer({ min: 20, max: 23 }), body: bytes(60) });
  fc.assert(
    fc.property(fc.array(record), bytes(4), (records, tail) => {
      const stream = Buffer.concat([
        ...records.map(({ kind, body }) => Buffer.from([kind, 3, 3, 0, body.length, ...body])),
        tail,
      ]);
      const walk = walkRecords(stream);
      const count = (wanted: number) => records.filter(({ kind }) => kind === wanted).length;
      expect(walk.applicationData).toBe(count(23));
      expect(walk.handshakes).toBe(count(22));
      expect(walk.alerts).toBe(count(21));
      expect(walk.cipherChanges).toBe(count(20));
      expect(walk.foreignBytes).toBe(tail.length);
    }),
  );
});

/** A stream cut into overlapping pieces at random places, delivered in random order. */
const delivery = fc
  .tuple(bytes(400), fc.integer({ min: 0, max: 0xffff_ffff }), fc.infiniteStream(fc.nat(50)))
  .chain(([stream, start, sizes]) => {
    const pieces: Piece[] = [];
    let offset = 0;
    while (offset < stream.length) {
      const from = Math.max(0, offset - (sizes.next().value ?? 0));
      const end = Math.min(stream.length, offset + 1 + (sizes.next().value ?? 0));
      const sequence = (start + from) % 0x1_0000_0000;
      pieces.push({ sequence, syn: false, payload: stream.subarray(from, end) });
      offset = end;
    }
    return fc.tuple(
      fc.constant(stream),
      fc.constant(start),
      fc.shuffledSubarray([...pieces, ...pieces.slice(0, 3)], { minLength: pieces.length }),
      fc.constant(pieces),
    );
  });

test("overlaps, retransmissions, disorder and wrapping sequence numbers give the stream back", () => {
  fc.assert(
    fc.property(delivery, ([stream, start, shuffled, all]) => {
      const opening = { sequence: start, syn: true, payload: new Uint8Array() };
      const whole = reassemble([opening, ...shuffled, ...all]);
      expect(whole.bytes).toEqual(new Uint8Array(stream));
      expect(whole.missing).toBe(0);
    }),
  );
});

test("bytes that no piece carries are counted as missing", () => {
  fc.assert(
    fc.property(delivery, ([stream, start, shuffled]) => {
      const opening = { sequence: start, syn: true, payload: new Uint8Array() };
      const { bytes: seen, missing } = reassemble([opening, ...shuffled]);
      const carried = new Set(
        shuffled.flatMap(({ sequence, payload }) =>
          [...payload.keys()].map((index) => (sequence - start + index) >>> 0),
        ),
      );
      const end = carried.size === 0 ? 0 : Math.max(...carried) + 1;
      expect(seen.length).toBe(carried.size);
      expect(missing).toBe(end - carried.size);
      expect(stream.length).toBeGreaterThanOrEqual(end);
    }),
  );
});
