/** Reads DER (X.690) trees: every invalid form is a ProxyError, never a guess. */
import { asn1 } from "./asn1.ts";
import type { asn1 as types } from "node-forge";

import { ProxyError } from "../runtime/errors.ts";

export type Node = types.Asn1;

/** Parses DER bytes into a tree; all bytes must be used. Throws CERTIFICATE_INVALID. */
export function readDer(bytes: Uint8Array): Node {
  try {
    return asn1.fromDer(Buffer.from(bytes).toString("latin1"), true);
  } catch (error) {
    throw new ProxyError("CERTIFICATE_INVALID", "not DER", { cause: error });
  }
}

/** The members of a SEQUENCE, a SET or an explicit tag. */
export function childrenOf(node: Node | undefined): readonly Node[] {
  if (node === undefined || !Array.isArray(node.value)) throw malformed("a constructed value");
  return node.value;
}

/** The contents of a primitive value. */
export function valueOfNode(node: Node | undefined): Uint8Array {
  if (node === undefined || typeof node.value !== "string") throw malformed("a primitive value");
  return new Uint8Array(Buffer.from(node.value, "latin1"));
}

/** The dotted form of an OBJECT IDENTIFIER; its bytes if an arc is too large for a number, as in UUIDs. */
export function oidOf(node: Node | undefined): string {
  const bytes = valueOfNode(node);
  if (node?.type !== asn1.Type.OID || bytes.length === 0) throw malformed("an identifier");
  try {
    return asn1.derToOid(Buffer.from(bytes).toString("latin1"));
  } catch {
    return `#${bytes.toHex()}`;
  }
}

/** Milliseconds since 1970 from a UTCTime or a GeneralizedTime: RFC 5280, 4.1.2.5. */
export function timeOf(node: Node | undefined): number {
  const text = new TextDecoder("latin1").decode(valueOfNode(node));
  const short = node?.type === asn1.Type.UTCTIME;
  const match = (short ? utcTime : generalizedTime).exec(text);
  if (match === null) throw malformed("a time");
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map(Number);
  const full = short ? (year < 50 ? 2000 : 1900) + year : year;
  const time = Date.UTC(full, month - 1, day, hour, minute, second);
  if (new Date(time).getUTCDate() !== day) throw malformed("a time");
  return time;
}

/** A context-specific tag's number, or -1 for another class. */
export function tagOf(node: Node): number {
  return node.tagClass === asn1.Class.CONTEXT_SPECIFIC ? node.type : -1;
}

export function malformed(wanted: string): ProxyError {
  return new ProxyError("CERTIFICATE_INVALID", `${wanted} expected`);
}

const utcTime = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const generalizedTime = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
