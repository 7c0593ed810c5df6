/** A readable netlink message: its kind, its header fields, and its attributes, one a line and nested. */
import type { Bytes } from "./message-lines.ts";
import { expressions, formOf, inside, type Names } from "./message-names.ts";

type Attribute = { readonly number: number; readonly value: Uint8Array; readonly isNest: boolean };

/** Bytes that are not an attribute are shown unchanged. */
export function unfold({ type, body }: Bytes): string {
  const { kind, fields, names } = formOf(type, body.length);
  const lines = [`${kind} (${type})`];
  let at = 0;
  for (const [name, size] of fields) {
    lines.push(`  ${name}: ${body.subarray(at, at + size).toHex()}`);
    at += size;
  }
  return [...lines, ...attributeLines(body.subarray(at), names).map(indented)].join("\n");
}

function attributeLines(bytes: Uint8Array, names: Names): readonly string[] {
  const { attributes, rest } = attributesOf(bytes);
  const lines = attributes.flatMap((one) => linesOf(one, names[one.number] ?? names[0]));
  return rest.length === 0 ? lines : [...lines, `no attribute: ${rest.toHex()}`];
}

function linesOf(
  { number, value, isNest }: Attribute,
  known: string | undefined,
): readonly string[] {
  const name = known ?? `attribute ${number}`;
  if (!isNest) return [`${name}: ${shown(value)}`];
  if (name === "expression") return expressionLines(value);
  return [name, ...attributeLines(value, inside[name] ?? {}).map(indented)];
}

/** NFTA_EXPR_NAME defines the contents of NFTA_EXPR_DATA. */
function expressionLines(value: Uint8Array): readonly string[] {
  const [name, data, ...more] = attributesOf(value).attributes;
  const kind = name === undefined ? "" : shown(name.value).slice(1, -1);
  const isKnown = name?.number === 1 && data?.number === 2 && data.isNest && more.length === 0;
  if (!isKnown) return ["expression", ...attributeLines(value, {}).map(indented)];
  return [
    `expression ${kind}`,
    ...attributeLines(data.value, expressions[kind] ?? {}).map(indented),
  ];
}

/** struct nlattr: length and type in host order, then the value, padded to four bytes. `rest`: what does not fit. */
function attributesOf(bytes: Uint8Array): {
  readonly attributes: readonly Attribute[];
  readonly rest: Uint8Array;
} {
  const attributes: Attribute[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    const type = view.getUint16(at + 2, true);
    const value = bytes.subarray(at + 4, at + length);
    attributes.push({ number: type & 0x3fff, value, isNest: (type & 0x8000) !== 0 });
    at += Math.ceil(length / 4) * 4;
  }
  return { attributes, rest: bytes.subarray(at) };
}

/** Text that ends with a zero is shown as text. */
function shown(value: Uint8Array): string {
  const text = Buffer.from(value).toString("latin1");
  return /^[ -~]{2,}\0$/.test(text) ? JSON.stringify(text.slice(0, -1)) : value.toHex();
}

function indented(line: string): string {
  return `  ${line}`;
}
