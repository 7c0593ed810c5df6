/** Frames of HTTP/2: RFC 9113, 4.1. Pure. */

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;

export const frameFlag = {
  /** For SETTINGS. */
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export type Frame = {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
  /** As received, with its header. */
  readonly bytes: Uint8Array;
};

/** The frame at the start of `bytes`, as far as it has arrived: null if it is incomplete. */
export function readFrame(bytes: Uint8Array): Frame | null {
  if (bytes.length < headerBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = headerBytes + (view.getUint32(0) >>> 8);
  if (bytes.length < whole) return null;
  return {
    type: view.getUint8(3),
    flags: view.getUint8(4),
    stream: view.getUint32(5),
    payload: bytes.subarray(headerBytes, whole),
    bytes: bytes.subarray(0, whole),
  };
}

/** The content of a DATA or HEADERS frame without padding and priority; null if invalid: RFC 9113, 6.1 and 6.2. */
export function contentOf({ flags, payload, type }: Frame): Uint8Array | null {
  const padded = (flags & frameFlag.padded) !== 0;
  const padding = padded ? (payload[0] ?? payload.length) : 0;
  const ranked = type === frameType.headers && (flags & frameFlag.priority) !== 0;
  const start = Number(padded) + (ranked ? 5 : 0);
  const end = payload.length - padding;
  return start <= end ? payload.subarray(start, end) : null;
}

const headerBytes = 9;
