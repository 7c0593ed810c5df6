/** The Huffman code of HPACK: RFC 7541, 5.2 and appendix B. Pure. */
import { ProxyError } from "../runtime/errors.ts";

/** Throws HTTP2_INVALID for a code that ends within a symbol, or that contains the end-of-string symbol. */
export function decodeHuffman(bytes: Uint8Array): Uint8Array {
  const decoded: number[] = [];
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      code = (code << 1) | ((byte >> bit) & 1);
      length += 1;
      const symbol = symbolOf(code, length);
      if (symbol === null) continue;
      if (symbol === endOfString) throw invalid("the end of the string within it");
      decoded.push(symbol);
      code = 0;
      length = 0;
    }
  }
  // The last byte is padded with the first bits of the end-of-string code: ones.
  if (length > 7 || code !== (1 << length) - 1) throw invalid("an incomplete code");
  return Uint8Array.from(decoded);
}

/** Codes of one length are consecutive in the order of their symbols, after those of the shorter lengths. */
function symbolOf(code: number, length: number): number | null {
  const row = rows[length];
  return row?.symbols[code - row.first] ?? null;
}

type Row = { readonly first: number; readonly symbols: readonly number[] };

function rowsOf(lengths: readonly number[]): readonly Row[] {
  const all: Row[] = [];
  let next = 0;
  for (let length = 0; length <= lengthMax; length += 1) {
    const symbols = lengths.flatMap((one, symbol) => (one === length ? [symbol] : []));
    all.push({ first: next, symbols });
    next = (next + symbols.length) * 2;
  }
  return all;
}

function invalid(what: string): ProxyError {
  return new ProxyError("HTTP2_INVALID", `Huffman code: ${what}`);
}

const endOfString = 256;
const lengthMax = 30;
/** Code length in bits of each symbol from 0 to 256. */
const rows = rowsOf(
  (
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 6 10 10 12 13 6 8 11 " +
    "10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 " +
    "14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 20 22 20 20 22 22 22 23 22 23 23 23 23 23 " +
    "24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 " +
    "22 23 23 20 22 22 22 23 22 22 23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 " +
    "28 27 27 27 20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30"
  )
    .split(" ")
    .map(Number),
);
