/** What a stream's bytes reveal of TLS without a key: records and the negotiated version. Pure. */

export type TlsWalk = {
  /** Records by content type: RFC 8446, 5.1. */
  readonly handshakes: number;
  readonly cipherChanges: number;
  readonly alerts: number;
  readonly applicationData: number;
  /** Counted from the first byte that is not in a record; 0 if the whole stream is TLS. */
  readonly foreignBytes: number;
  /** The version chosen in the stream's ServerHello; null if there is none. */
  readonly versionChosen: "1.3" | "1.2 or older" | null;
};

/** Walks the records from the first byte. Any other bytes count as foreign bytes, never as an error. */
export function walkRecords(stream: Uint8Array): TlsWalk {
  const counts = { handshakes: 0, cipherChanges: 0, alerts: 0, applicationData: 0 };
  let versionChosen: TlsWalk["versionChosen"] = null;
  let offset = 0;
  while (offset < stream.length) {
    const record = recordAt(stream, offset);
    if (record === null) break;
    counts[record.kind] += 1;
    if (record.kind === "handshakes") versionChosen ??= versionOf(record.body);
    offset += recordHeaderSize + record.body.length;
  }
  return { ...counts, foreignBytes: stream.length - offset, versionChosen };
}

type Kind = "handshakes" | "cipherChanges" | "alerts" | "applicationData";

const kinds = new Map<number, Kind>([
  [20, "cipherChanges"],
  [21, "alerts"],
  [22, "handshakes"],
  [23, "applicationData"],
]);

function recordAt(stream: Uint8Array, offset: number): { kind: Kind; body: Uint8Array } | null {
  const kind = kinds.get(stream[offset] ?? 0);
  const size = uint16(stream, offset + 3);
  const end = offset + recordHeaderSize + size;
  const valid = stream[offset + 1] === 3 && size <= recordSizeMax && end <= stream.length;
  if (kind === undefined || !valid) return null;
  return { kind, body: stream.subarray(offset + recordHeaderSize, end) };
}

/** ServerHello: RFC 8446, 4.1.3. Only the extension shows 1.3; a HelloRetryRequest chooses no version yet. */
function versionOf(body: Uint8Array): TlsWalk["versionChosen"] {
  const headerSize = 4 + 2 + 32;
  if (body[0] !== typeServerHello || body.length <= headerSize) return null;
  if (new Uint8Array(body.subarray(6, headerSize)).toHex() === helloRetryRandom) return null;
  const session = body[headerSize] ?? 0;
  const extensions = headerSize + 1 + session + 2 + 1;
  return choosesTls13(body, extensions) ? "1.3" : "1.2 or older";
}

function choosesTls13(body: Uint8Array, extensions: number): boolean {
  const end = Math.min(body.length, extensions + 2 + uint16(body, extensions));
  for (let at = extensions + 2; at + 4 <= end; at += 4 + uint16(body, at + 2)) {
    if (uint16(body, at) === extensionSupportedVersions) return uint16(body, at + 4) === 0x03_04;
  }
  return false;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) * 256 + (bytes[offset + 1] ?? 0);
}

const recordHeaderSize = 5;
/** RFC 8446, 5.2. */
const recordSizeMax = 16_384 + 256;
const typeServerHello = 2;
const extensionSupportedVersions = 43;
/** RFC 8446, 4.1.3: the SHA-256 of "HelloRetryRequest". */
const helloRetryRandom = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
