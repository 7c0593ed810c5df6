/** The names of CAs in a server's handshake: RFC 8446, 4.2.4. Pure. */
import { asn1 } from "./asn1.ts";
import { childrenOf, readDer, tagOf } from "./der.ts";
import { pemBlocks } from "./pem.ts";

/** The number of CAs in a bundle, and the length of their list in bytes: each name has a two-byte length. */
export function namesBytesOf(bundlePem: string): {
  readonly count: number;
  readonly bytes: number;
} {
  const all = pemBlocks(bundlePem).map(({ bytes }) => nameBytes(bytes ?? new Uint8Array()));
  return { count: all.length, bytes: all.reduce((sum, bytes) => sum + 2 + bytes, 0) };
}

function nameBytes(certificate: Uint8Array): number {
  const fields = childrenOf(childrenOf(readDer(certificate))[0]);
  const subject = fields[fields[0] !== undefined && tagOf(fields[0]) === 0 ? 5 : 4];
  return subject === undefined ? 0 : asn1.toDer(subject).length();
}
