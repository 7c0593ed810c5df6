/** Reassembles one direction of a TCP connection from segments in any order. Pure. */

export type Piece = {
  /** The sequence number of the payload's first byte: 32 bits, wrapping. */
  readonly sequence: number;
  readonly syn: boolean;
  readonly payload: Uint8Array;
};

export type Reassembled = {
  /** The received bytes in order; the bytes after a gap follow directly. */
  readonly bytes: Uint8Array;
  /** Bytes between the first and the last that no segment carried. */
  readonly missing: number;
};

/**
 * Retransmitted and overlapping bytes count once; the first copy wins, as in a receiver. The stream begins after its
 * SYN, or at the lowest sequence number if there was none.
 */
export function reassemble(pieces: readonly Piece[]): Reassembled {
  const placed = place(pieces);
  const parts: Uint8Array[] = [];
  let next = placed.begin;
  let missing = 0;
  for (const { offset, payload } of placed.pieces) {
    if (offset + payload.length <= next) continue;
    if (offset > next) missing += offset - next;
    const known = Math.max(0, next - offset);
    parts.push(payload.subarray(known));
    next = offset + payload.length;
  }
  return { bytes: concat(parts), missing };
}

type Placed = { readonly offset: number; readonly payload: Uint8Array };

/**
 * Sequence numbers as offsets that do not wrap: each is assumed to be within 2^31 of the one before (RFC 9293, 3.4).
 * Sorting is stable, so the earlier of two copies comes first.
 */
function place(pieces: readonly Piece[]): { begin: number; pieces: readonly Placed[] } {
  let last = pieces[0]?.sequence ?? 0;
  let begin: number | null = null;
  const placed: Placed[] = [];
  for (const { sequence, syn, payload } of pieces) {
    last += (sequence - (last % wrap)) | 0;
    if (syn && begin === null) begin = last;
    if (payload.length > 0) placed.push({ offset: last, payload });
  }
  const sorted = placed.toSorted((a, b) => a.offset - b.offset);
  return { begin: begin ?? sorted[0]?.offset ?? 0, pieces: sorted };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const wrap = 0x1_0000_0000;
