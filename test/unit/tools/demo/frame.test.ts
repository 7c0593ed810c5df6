import { expect, test } from "bun:test";

import { parseFrame } from "../../../../src/tools/demo/frame.ts";
import { flag, makeFrame } from "../../../support/frames.ts";

const four = { source: [10, 77, 0, 1], destination: [10, 77, 0, 2] };
const six = { source: address(1), destination: address(2) };

test("an IPv4 segment is read", () => {
  const segment = parseFrame(makeFrame({ ...four, sequence: 7, payload: "hello" }));
  expect(segment).toMatchObject({ source: "10.77.0.1:40000", destination: "10.77.0.2:8080" });
  expect(segment).toMatchObject({ sequence: 7, syn: false, ack: true });
  expect(new TextDecoder().decode(segment?.payload)).toBe("hello");
});

test("an IPv6 segment is read", () => {
  const segment = parseFrame(makeFrame({ ...six, payload: "hello" }));
  expect(segment).toMatchObject({ source: "[fd77::1]:40000", destination: "[fd77::2]:8080" });
  expect(new TextDecoder().decode(segment?.payload)).toBe("hello");
});

test("the byte after a SYN has the next sequence number, also when it wraps", () => {
  const opening = makeFrame({ ...four, sequence: 0xffff_ffff, flags: flag.syn });
  expect(parseFrame(opening)).toMatchObject({ syn: true, ack: false, sequence: 0 });
});

test("a frame of 64 KiB from segmentation offload is read", () => {
  const payload = new Uint8Array(65_000).fill(120);
  expect(parseFrame(makeFrame({ ...four, payload }))?.payload).toEqual(payload);
});

test("Ethernet's padding is not payload", () => {
  const padded = Buffer.concat([makeFrame(four), Buffer.alloc(6)]);
  expect(parseFrame(padded)?.payload.length).toBe(0);
});

test.each([
  ["an ARP frame", 12, [0x08, 0x06]],
  ["a UDP packet", 14 + 9, [17]],
  ["a fragment", 14 + 6, [0x20, 0x00]],
  ["a packet that is cut short", 14 + 2, [0xff, 0xff]],
  ["a TCP header that reaches past the end", 14 + 20 + 12, [0xf0]],
])("%s is ignored", (_what, offset, bytes) => {
  const frame = makeFrame(four);
  frame.set(bytes, offset);
  expect(parseFrame(frame)).toBeNull();
});

function address(last: number): number[] {
  return [0xfd, 0x77, ...Array.from({ length: 13 }, () => 0), last];
}
