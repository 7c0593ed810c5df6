/** A throw-away CA and its certificates, for trials, the demo and tests; never for production. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";

import { asn1 } from "./asn1.ts";
import type { asn1 as types } from "node-forge";

import { parseHost } from "../net/address.ts";

/** A certificate and its key, as PEM. */
export type Issued = { readonly certificatePem: string; readonly keyPem: string };

export type Authority = Issued & {
  readonly key: KeyObject;
  readonly keyId: Buffer;
  readonly subject: types.Asn1;
};

export type Purpose = "serverAuth" | "clientAuth";

export type LeafOptions = {
  readonly commonName?: string;
  readonly spiffeId?: string;
  readonly ips?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Both by default; an empty list omits the extension. */
  readonly usages?: readonly Purpose[];
  /** CA:TRUE, which no leaf should have. */
  readonly isAuthority?: boolean;
  /** An RSA key with 2048 bits instead of P-256. */
  readonly rsa?: boolean;
};

/** A self-signed CA, or one below `parent`. EC P-256, valid from an hour ago, by default for a week. */
export function issueAuthority(commonName: string, parent?: Authority, notAfter?: Date): Authority {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = nameOf(commonName);
  const keyId = keyIdOf(pair.publicKey);
  const issuer = parent ?? { key: pair.privateKey, keyId, subject };
  const extensions = [basicConstraints(true), keyUsage(0x06, 1), ...keyIds(keyId, issuer.keyId)];
  const certificatePem = signed(
    { subject, publicKey: pair.publicKey, extensions, notAfter },
    issuer,
  );
  return { certificatePem, keyPem: pemOf(pair.privateKey), key: pair.privateKey, keyId, subject };
}

/** Reads a CA that `issueAuthority` made earlier from PEM. Throws node:crypto's errors. */
export function readAuthority({ certificatePem, keyPem }: Issued): Authority {
  const certificate = new X509Certificate(certificatePem);
  const key = createPrivateKey(keyPem);
  if (!certificate.checkPrivateKey(key)) throw new Error("the key belongs to another certificate");
  const fields = asn1.fromDer(binary(certificate.raw)).value[0];
  const subject = typeof fields === "object" ? fields.value[subjectField] : undefined;
  if (typeof subject !== "object") throw new Error("the certificate has no subject");
  return { certificatePem, keyPem, key, keyId: keyIdOf(createPublicKey(key)), subject };
}

/** A workload's certificate with its names as subject alternative names. */
export function issueLeaf(authority: Authority, options: LeafOptions): Issued {
  const pair = keyPair(options.rsa ?? false);
  const { notBefore, notAfter } = options;
  const extensions = [
    basicConstraints(options.isAuthority ?? false),
    options.rsa === true ? keyUsage(0xa0, 5) : keyUsage(0x80, 7),
    ...keyIds(keyIdOf(pair.publicKey), authority.keyId),
    ...usagesOf(options.usages ?? ["serverAuth", "clientAuth"]),
    ...namesOf(options),
  ];
  const subject = nameOf(options.commonName);
  const request = { subject, publicKey: pair.publicKey, extensions, notBefore, notAfter };
  return { certificatePem: signed(request, authority), keyPem: pemOf(pair.privateKey) };
}

function keyPair(rsa: boolean): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  if (rsa) return generateKeyPairSync("rsa", { modulusLength: 2048 });
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

type Request = {
  readonly subject: Node;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Node[];
  readonly notBefore?: Date | undefined;
  readonly notAfter?: Date | undefined;
};

type Issuer = Pick<Authority, "key" | "keyId" | "subject">;
type Node = types.Asn1;

/** TBSCertificate, signed with ECDSA and SHA-256: RFC 5280, 4.1; RFC 5758, 3.2. */
function signed(request: Request, issuer: Issuer): string {
  const body = sequence([
    tagged(0, [integer(Buffer.from([2]))]),
    integer(serialNumber()),
    ecdsaWithSha256(),
    issuer.subject,
    sequence([
      timeOf(request.notBefore ?? new Date(Date.now() - hour)),
      timeOf(request.notAfter ?? new Date(Date.now() + week)),
    ]),
    request.subject,
    asn1.fromDer(binary(request.publicKey.export({ type: "spki", format: "der" }))),
    tagged(3, [sequence(request.extensions)]),
  ]);
  const signature = sign("sha256", derOf(body), issuer.key);
  const whole = sequence([body, ecdsaWithSha256(), bitString(signature, 0)]);
  const lines =
    derOf(whole)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function nameOf(commonName: string | undefined): Node {
  if (commonName === undefined) return sequence([]);
  return sequence([
    set([sequence([oid("2.5.4.3"), primitive(type.UTF8, Buffer.from(commonName))])]),
  ]);
}

function basicConstraints(authority: boolean): Node {
  const contents = authority ? [primitive(type.BOOLEAN, Buffer.from([0xff]))] : [];
  return extension("2.5.29.19", true, sequence(contents));
}

/** A bit mask from the left: 0x80 digitalSignature, 0x20 keyEncipherment; 0x06 keyCertSign and cRLSign. */
function keyUsage(bits: number, unused: number): Node {
  return extension("2.5.29.15", true, bitString(Buffer.from([bits]), unused));
}

function keyIds(own: Buffer, issuer: Buffer): readonly Node[] {
  return [
    extension("2.5.29.14", false, primitive(type.OCTETSTRING, own)),
    extension("2.5.29.35", false, sequence([contextual(0, issuer)])),
  ];
}

function usagesOf(usages: readonly Purpose[]): readonly Node[] {
  if (usages.length === 0) return [];
  const identifiers = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" };
  return [extension("2.5.29.37", false, sequence(usages.map((usage) => oid(identifiers[usage]))))];
}

/** Critical if the subject is empty, as in SPIFFE: RFC 5280, 4.2.1.6. */
function namesOf(options: LeafOptions): readonly Node[] {
  const names = [
    ...(options.spiffeId === undefined ? [] : [contextual(6, Buffer.from(options.spiffeId))]),
    ...(options.dnsNames ?? []).map((name) => contextual(2, Buffer.from(name))),
    ...(options.ips ?? []).map((ip) => contextual(7, Buffer.from(parseHost(ip)))),
  ];
  if (names.length === 0) return [];
  return [extension("2.5.29.17", options.commonName === undefined, sequence(names))];
}

function extension(identifier: string, critical: boolean, contents: Node): Node {
  const flag = critical ? [primitive(type.BOOLEAN, Buffer.from([0xff]))] : [];
  return sequence([oid(identifier), ...flag, primitive(type.OCTETSTRING, derOf(contents))]);
}

function ecdsaWithSha256(): Node {
  return sequence([oid("1.2.840.10045.4.3.2")]);
}

/** UTCTime until 2049, GeneralizedTime after that: RFC 5280, 4.1.2.5. */
function timeOf(date: Date): Node {
  const text = date.toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  const short = date.getUTCFullYear() < 2050;
  const form = short ? type.UTCTIME : type.GENERALIZEDTIME;
  return primitive(form, Buffer.from(short ? text.slice(2) : text));
}

/** Positive and at most 20 bytes: RFC 5280, 4.1.2.2. */
function serialNumber(): Buffer {
  const bytes = randomBytes(20);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function keyIdOf(key: KeyObject): Buffer {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20);
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}

function sequence(values: readonly Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, type.SEQUENCE, true, [...values]);
}

function set(values: readonly Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, type.SET, true, [...values]);
}

function tagged(tag: number, values: readonly Node[]): Node {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, true, [...values]);
}

function contextual(tag: number, bytes: Buffer): Node {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));
}

function primitive(of: types.Type, bytes: Buffer): Node {
  return asn1.create(asn1.Class.UNIVERSAL, of, false, binary(bytes));
}

function integer(bytes: Buffer): Node {
  return primitive(type.INTEGER, bytes);
}

function bitString(bytes: Buffer, unused: number): Node {
  return primitive(type.BITSTRING, Buffer.concat([Buffer.from([unused]), bytes]));
}

function oid(dotted: string): Node {
  return primitive(type.OID, Buffer.from(asn1.oidToDer(dotted).getBytes(), "latin1"));
}

function derOf(node: Node): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), "latin1");
}

function binary(bytes: Buffer): string {
  return bytes.toString("latin1");
}

/** In a version 3 TBSCertificate: RFC 5280, 4.1. */
const subjectField = 5;
const { Type: type } = asn1;
const hour = 3_600_000;
const week = 7 * 24 * hour;
