/** Certificates that no honest CA would issue: extensions replaced, removed or duplicated, and signed again. */
import { sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import forge from "node-forge";

import {
  issueLeaf,
  type Authority,
  type Issued,
  type LeafOptions,
} from "../../src/identity/issue.ts";
import { temporaryDirectory } from "./temporary.ts";

type Node = forge.asn1.Asn1;
type Signer = Pick<Authority, "key">;

/** Contents by identifier: an empty list removes an extension, two items insert it twice. */
export type Changes = Readonly<Record<string, readonly Node[]>>;

/** A certificate with its chain, as files. */
export type Shown = {
  readonly certificate: string;
  readonly key: string;
  readonly chain: string | null;
};

export const extensions = {
  keyUsage: "2.5.29.15",
  names: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  purposes: "2.5.29.37",
  authorityKey: "2.5.29.35",
} as const;

export const purposes = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  any: "2.5.29.37.0",
} as const;

/**
 * Another certificate with the same key and names, except for `changes`; `signer` must be its issuer, or pretend to
 * be.
 */
export function recut<T extends Issued>(issued: T, signer: Signer, changes: Changes): T {
  const base64 = issued.certificatePem.replaceAll(/-----[A-Z ]+-----|\s/g, "");
  const whole = membersOf(forge.asn1.fromDer(Buffer.from(base64, "base64").toString("latin1")));
  const [body, algorithm] = whole;
  if (body === undefined || algorithm === undefined) throw new Error("not a certificate");
  const list = membersOf(membersOf(body).at(-1))[0];
  if (list === undefined) throw new Error("no extensions");
  list.value = [
    ...membersOf(list).filter((extension) => !(oidOf(extension) in changes)),
    ...Object.entries(changes).flatMap(([oid, all]) => all.map((one) => extensionOf(oid, one))),
  ];
  const signature = sign("sha256", derOf(body), signer.key);
  const contents = Buffer.concat([Buffer.of(0), signature]);
  const der = derOf(sequence([body, algorithm, primitive(forge.asn1.Type.BITSTRING, contents)]));
  return { ...issued, certificatePem: pemOf(der) };
}

/** A leaf with `changes` applied. */
export function craft(issuer: Authority, options: LeafOptions, changes: Changes = {}): Issued {
  return recut(issueLeaf(issuer, options), issuer, changes);
}

/** Files for a program that shows this certificate, with the given part of its chain. */
export function written(leaf: Issued, chain: readonly Issued[] = []): Shown {
  const directory = temporaryDirectory();
  const write = (name: string, text: string): string => {
    writeFileSync(`${directory}/${name}`, text, { mode: 0o600 });
    return `${directory}/${name}`;
  };
  const above = chain.map(({ certificatePem }) => certificatePem).join("");
  return {
    certificate: write("cert.pem", leaf.certificatePem),
    key: write("key.pem", leaf.keyPem),
    chain: above === "" ? null : write("chain.pem", above),
  };
}

export function purposesOf(...identifiers: readonly string[]): Node {
  return sequence(identifiers.map(oidNode));
}

/** basicConstraints. */
export function authorityOf(isAuthority: boolean, pathLength?: number): Node {
  if (!isAuthority) return sequence([]);
  const length = pathLength === undefined ? [] : [Buffer.of(pathLength)];
  return sequence([
    primitive(forge.asn1.Type.BOOLEAN, Buffer.of(0xff)),
    ...length.map((bytes) => primitive(forge.asn1.Type.INTEGER, bytes)),
  ]);
}

/** keyUsage: a bit mask from the left, 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign. */
export function keyUsageOf(bits: number): Node {
  return primitive(forge.asn1.Type.BITSTRING, Buffer.of(1, bits));
}

/** nameConstraints: below this CA only URIs with one host. */
export function onlyOf(host: string): Node {
  return sequence([constructed(0, [sequence([uri(host)])])]);
}

/** authorityKeyIdentifier. */
export function authorityKeyOf({ keyId }: Authority): Node {
  return sequence([contextual(0, keyId)]);
}

/** subjectAltName. */
export function namesOf(...names: readonly Node[]): Node {
  return sequence(names);
}

export const uri = (text: string): Node => contextual(6, Buffer.from(text));
export const dns = (text: string): Node => contextual(2, Buffer.from(text));
export const email = (text: string): Node => contextual(1, Buffer.from(text));
/** otherName with a UTF8String, like Microsoft's user principal name. */
export const otherName = (text: string): Node =>
  constructed(0, [
    oidNode("1.3.6.1.4.1.311.20.2.3"),
    constructed(0, [primitive(forge.asn1.Type.UTF8, Buffer.from(text))]),
  ]);

/** Not critical, so that no library refuses it for that reason. */
function extensionOf(identifier: string, contents: Node): Node {
  const octets = primitive(forge.asn1.Type.OCTETSTRING, derOf(contents));
  return sequence([oidNode(identifier), octets]);
}

function oidOf(extension: Node): string {
  const value = membersOf(extension)[0]?.value;
  return typeof value === "string" ? forge.asn1.derToOid(value) : "";
}

function membersOf(node: Node | undefined): Node[] {
  return Array.isArray(node?.value) ? node.value : [];
}

function sequence(values: readonly Node[]): Node {
  const { SEQUENCE } = forge.asn1.Type;
  return forge.asn1.create(forge.asn1.Class.UNIVERSAL, SEQUENCE, true, [...values]);
}

function primitive(of: forge.asn1.Type, bytes: Buffer): Node {
  return forge.asn1.create(forge.asn1.Class.UNIVERSAL, of, false, bytes.toString("latin1"));
}

function contextual(tag: number, bytes: Buffer): Node {
  const { CONTEXT_SPECIFIC } = forge.asn1.Class;
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- its types know no tags of one's own
  return forge.asn1.create(CONTEXT_SPECIFIC, tag, false, bytes.toString("latin1"));
}

function constructed(tag: number, values: readonly Node[]): Node {
  const { CONTEXT_SPECIFIC } = forge.asn1.Class;
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- as above
  return forge.asn1.create(CONTEXT_SPECIFIC, tag, true, [...values]);
}

function oidNode(dotted: string): Node {
  const bytes = Buffer.from(forge.asn1.oidToDer(dotted).getBytes(), "latin1");
  return primitive(forge.asn1.Type.OID, bytes);
}

function derOf(node: Node): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), "latin1");
}

function pemOf(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
