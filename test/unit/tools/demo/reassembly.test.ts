import { expect, test } from "bun:test";

import { reassemble, type Piece } from "../../../../src/tools/demo/reassembly.ts";

const piece = (sequence: number, text: string): Piece => ({
  sequence,
  syn: false,
  payload: new TextEncoder().encode(text),
});
const syn = (sequence: number): Piece => ({ sequence, syn: true, payload: new Uint8Array() });

function textOf(pieces: readonly Piece[]): string {
  return new TextDecoder().decode(reassemble(pieces).bytes);
}

test("segments out of order are put in order", () => {
  expect(textOf([syn(100), piece(105, "world"), piece(100, "hello")])).toBe("helloworld");
});

test("a retransmission counts once", () => {
  expect(textOf([syn(100), piece(100, "hello"), piece(100, "hello")])).toBe("hello");
});

test("where segments overlap the first copy counts", () => {
  expect(textOf([syn(0), piece(0, "abcd"), piece(2, "XYef")])).toBe("abcdef");
});

test("a keep-alive before the next byte adds nothing", () => {
  expect(textOf([syn(0), piece(0, "abcd"), piece(3, "d"), piece(4, "e")])).toBe("abcde");
});

test("sequence numbers wrap after 32 bits", () => {
  const start = 0xffff_fffe;
  expect(textOf([syn(start), piece(start, "abcd"), piece(2, "ef")])).toBe("abcdef");
  expect(textOf([syn(start), piece(2, "ef"), piece(start, "abcd")])).toBe("abcdef");
});

test("a hole is counted, also one right after the SYN", () => {
  expect(reassemble([syn(0), piece(3, "def"), piece(10, "k")]).missing).toBe(7);
});

test("without a SYN the stream begins at the lowest byte seen", () => {
  expect(reassemble([piece(50, "b"), piece(49, "a")])).toEqual({
    bytes: new TextEncoder().encode("ab"),
    missing: 0,
  });
});

test("no segments give an empty stream", () => {
  expect(reassemble([])).toEqual({ bytes: new Uint8Array(), missing: 0 });
});
