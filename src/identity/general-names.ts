/**
 * Reads the names of a certificate (GeneralNames: RFC 5280, 4.2.1.6) without building a tree: there may be thousands.
 * Pure.
 */
import { malformed } from "./der.ts";

export type GeneralName = {
  /** The number of its context tag; also for constructed names. */
  readonly tag: number;
  readonly bytes: Uint8Array;
};

/** `der`: a SEQUENCE of names, all bytes used. Throws CERTIFICATE_INVALID. */
export function readGeneralNames(der: Uint8Array): readonly GeneralName[] {
  const all = valueAt(der, 0);
  if (der[0] !== sequence || all.end !== der.length) throw malformed("a list of names");
  const names: GeneralName[] = [];
  for (let at = all.begin; at < all.end;) {
    const tag = der[at] ?? 0;
    const { begin, end } = valueAt(der, at);
    if ((tag & classMask) !== contextSpecific || (tag & numberMask) > numberMax)
      throw malformed("names");
    const isText = texts.has(tag & numberMask);
    if (isText && (tag & constructed) !== 0) throw malformed("a primitive value");
    if (names.length === namesMax) throw malformed("at most 4,096 names");
    names.push({ tag: tag & numberMask, bytes: der.subarray(begin, end) });
    at = end;
  }
  return names;
}

/** For the value that starts at `at`: DER allows only the shortest form of a length (X.690, 10.1). */
function valueAt(der: Uint8Array, at: number): { readonly begin: number; readonly end: number } {
  const first = der[at + 1] ?? indefinite;
  const count = first < indefinite ? 0 : first & 0x7f;
  const begin = at + 2 + count;
  const length =
    first < indefinite
      ? first
      : der.subarray(at + 2, begin).reduce((sum, byte) => sum * 256 + byte, 0);
  const isShortest = count === 0 || length >= Math.max(indefinite, 256 ** (count - 1));
  if (first === indefinite || count > 4 || !isShortest || begin + length > der.length)
    throw malformed("DER");
  return { begin, end: begin + length };
}

const sequence = 0x30;
const indefinite = 0x80;
const classMask = 0xc0;
const contextSpecific = 0x80;
const constructed = 0x20;
/** rfc822Name, dNSName, uniformResourceIdentifier, iPAddress, registeredID. */
const texts: ReadonlySet<number> = new Set([1, 2, 6, 7, 8]);
const numberMask = 0x1f;
/** registeredID. */
const numberMax = 8;
const namesMax = 4096;
