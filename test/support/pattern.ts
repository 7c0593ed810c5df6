/** Bytes that differ at every offset, so that a lost, doubled or swapped piece changes the digest. */

const period = 1_048_573; // A prime, so that no buffer size that is a power of two aligns with it.
const block = makeBlock();

/** `length` bytes (at most 512 KiB) of the endless pattern, starting at `offset`. */
export function pattern(offset: number, length: number): Uint8Array {
  const start = offset % period;
  return block.subarray(start, start + length);
}

/** The digest of the first `bytes` bytes, in hexadecimal. */
export function patternDigest(bytes: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (let at = 0; at < bytes; at += 262_144)
    hasher.update(pattern(at, Math.min(262_144, bytes - at)));
  return hasher.digest("hex");
}

/** xorshift32, one period plus half a megabyte, so that every piece is contiguous. */
function makeBlock(): Uint8Array {
  const bytes = new Uint8Array(period + 524_288);
  let state = 2_463_534_242;
  for (let index = 0; index < period; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  bytes.copyWithin(period, 0, 524_288);
  return bytes;
}
