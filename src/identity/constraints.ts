/** The properties of a chain's certificate that peers check, read from its DER. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { asn1 } from "./asn1.ts";
import { valueOfNode, childrenOf, oidOf, readDer, tagOf, timeOf, type Node } from "./der.ts";

export type Constraints = {
  /** 1 to 3. */
  readonly version: number;
  /** Milliseconds since 1970, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isAuthority: boolean;
  /** How many CAs may be below it, null for any number. */
  readonly pathLength: number | null;
  readonly hasKeyUsage: boolean;
  /** keyCertSign; false without key usage. */
  readonly maySign: boolean;
  /** digitalSignature; true without key usage. */
  readonly maySignData: boolean;
  /** Object identifiers of the extended key usages, null without that extension. */
  readonly usages: readonly string[] | null;
  /** Whether nameConstraints mention IP addresses: RFC 5280, 4.2.1.10. */
  readonly constrainsAddresses: boolean;
  /** Whether its names include an IP address. */
  readonly namesAddresses: boolean;
  /** Critical extensions unknown to TLS libraries. */
  readonly unknownCritical: readonly string[];
};

/** Null for an unreadable certificate. */
export function readConstraints(der: Uint8Array): Constraints | null {
  try {
    return constraintsOf(der);
  } catch (error) {
    if (error instanceof ProxyError) return null;
    throw error;
  }
}

function constraintsOf(der: Uint8Array): Constraints {
  const fields = [...childrenOf(childrenOf(readDer(der))[0])];
  const versioned = fields[0] !== undefined && tagOf(fields[0]) === 0 ? fields.shift() : undefined;
  const extensions = extensionsOf(fields.find((field) => tagOf(field) === 3));
  const contents = (oid: string): Node | null => extensions.get(oid)?.contents ?? null;
  const keyUsage = contents(oids.keyUsage);
  const [, usageBits = 0] = keyUsage === null ? [] : valueOfNode(keyUsage);
  const names = contents(oids.subjectAltName);
  const purposes = contents(oids.extendedKeyUsage);
  return {
    version: versioned === undefined ? 1 : 1 + (valueOfNode(childrenOf(versioned)[0])[0] ?? 0),
    notBefore: timeOf(childrenOf(fields[3])[0]),
    notAfter: timeOf(childrenOf(fields[3])[1]),
    ...basicConstraints(contents(oids.basicConstraints)),
    hasKeyUsage: keyUsage !== null,
    maySign: (usageBits & 0x04) !== 0,
    maySignData: keyUsage === null || (usageBits & 0x80) !== 0,
    usages: purposes === null ? null : childrenOf(purposes).map(oidOf),
    constrainsAddresses: constrainsAddresses(contents(oids.nameConstraints)),
    namesAddresses: names !== null && childrenOf(names).some((name) => tagOf(name) === ipTag),
    unknownCritical: [...extensions]
      .filter(([oid, { critical }]) => critical && !known.has(oid))
      .map(([oid]) => oid),
  };
}

type Extension = { readonly critical: boolean; readonly contents: Node };

function extensionsOf(tagged: Node | undefined): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  if (tagged === undefined) return found;
  for (const extension of childrenOf(childrenOf(tagged)[0])) {
    const [oid, ...rest] = childrenOf(extension);
    const critical = rest.length > 1 && valueOfNode(rest[0])[0] !== 0;
    const id = oidOf(oid);
    // Extensions that are never read need not be DER.
    if (critical || known.has(id))
      found.set(id, { critical, contents: contentsOf(id, rest.at(-1)) });
  }
  return found;
}

function contentsOf(oid: string, value: Node | undefined): Node {
  return known.has(oid) ? readDer(valueOfNode(value)) : (value ?? readDer(new Uint8Array()));
}

function basicConstraints(node: Node | null): Pick<Constraints, "isAuthority" | "pathLength"> {
  const fields = node === null ? [] : childrenOf(node);
  const authority = fields.find(({ type }) => type === asn1.Type.BOOLEAN);
  const length = fields.find(({ type }) => type === asn1.Type.INTEGER);
  return {
    isAuthority: authority !== undefined && valueOfNode(authority)[0] !== 0,
    pathLength:
      length === undefined ? null : valueOfNode(length).reduce((sum, byte) => sum * 256 + byte, 0),
  };
}

/** permittedSubtrees [0] and excludedSubtrees [1], whose subtrees each begin with a name. */
function constrainsAddresses(node: Node | null): boolean {
  if (node === null) return false;
  return childrenOf(node)
    .flatMap((subtrees) => childrenOf(subtrees))
    .some((subtree) =>
      childrenOf(subtree)
        .slice(0, 1)
        .some((name) => tagOf(name) === ipTag),
    );
}

const oids = {
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  extendedKeyUsage: "2.5.29.37",
} as const;
/** Extensions that BoringSSL handles besides these (x509v3, X509_supported_extension): policies and similar ones. */
const known: ReadonlySet<string> = new Set([
  ...Object.values(oids),
  "2.5.29.32",
  "2.5.29.33",
  "2.5.29.36",
  "2.5.29.54",
]);
const ipTag = 7;
