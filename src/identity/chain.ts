/** The path from our certificate to a root: the order in which it is sent, and its certificates. Pure. */
import type { X509Certificate } from "node:crypto";

export type ChainPath = {
  /** From the leaf up. */
  readonly certificates: readonly X509Certificate[];
  /** Whether the last one is a self-signed certificate in the bundle. */
  readonly isWhole: boolean;
};

/**
 * The leaf, then its issuers in the order of issuance (RFC 8446, 4.4.2), each once; and those of `others` that are
 * not part of the chain. Both versions of a cross-signed CA are part of it.
 */
export function orderedChain(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
): { readonly chain: readonly X509Certificate[]; readonly strangers: readonly X509Certificate[] } {
  const chain = [leaf];
  let left = others.filter((one) => !isSame(one, leaf));
  for (const subject of chain) {
    const issuers = distinct(left.filter((one) => signedBy(subject, one, true)));
    left = left.filter((one) => !issuers.some((issuer) => isSame(one, issuer)));
    chain.push(...issuers);
  }
  return { chain, strangers: distinct(left) };
}

/**
 * Follows issuers through bundle and chain to a self-signed certificate of the bundle: the TLS library accepts
 * nothing less, so a bundle of intermediates alone would refuse every peer. Of several paths it prefers a complete
 * one, with certificates valid at `now` if possible; else the longest.
 */
export function pathOf(
  chain: readonly X509Certificate[],
  bundle: readonly X509Certificate[],
  now: number,
): ChainPath {
  const isValid = (one: X509Certificate): boolean =>
    Date.parse(one.validFrom) <= now && now <= Date.parse(one.validTo);
  const known = [...bundle, ...chain.slice(1)];
  const search = new Search(
    [...known.filter(isValid), ...known.filter((one) => !isValid(one))],
    bundle,
  );
  const [leaf] = chain;
  return leaf === undefined ? { certificates: [], isWhole: false } : search.from([leaf]);
}

/** Self-signed by both name and signature. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return signedBy(certificate, certificate);
}

/** As text: "CN=middle". */
export function subjectOf({ subject }: X509Certificate): string {
  return nameText(subject);
}

export function issuerOf({ issuer }: X509Certificate): string {
  return nameText(issuer);
}

class Search {
  readonly #known: readonly X509Certificate[];
  readonly #bundle: readonly X509Certificate[];
  /** Each certificate is followed once: a dead end stays one. */
  readonly #visited = new Set<X509Certificate>();

  constructor(known: readonly X509Certificate[], bundle: readonly X509Certificate[]) {
    this.#known = known;
    this.#bundle = bundle;
  }

  from(before: readonly X509Certificate[]): ChainPath {
    const last = before.at(-1);
    if (last === undefined) return { certificates: before, isWhole: false };
    this.#visited.add(last);
    if (isSelfSigned(last))
      return { certificates: before, isWhole: this.#bundle.some((one) => isSame(one, last)) };
    let longest: ChainPath = { certificates: before, isWhole: false };
    for (const issuer of this.#known) {
      if (this.#visited.has(issuer) || !signedBy(last, issuer)) continue;
      const path = this.from([...before, issuer]);
      if (path.isWhole) return path;
      if (path.certificates.length > longest.certificates.length) longest = path;
    }
    return longest;
  }
}

/**
 * Compares name and signature; whether the issuer may sign does not matter here, because a chain that ends for that
 * reason would look incomplete. An issuer with a key that the TLS library cannot read (such as Ed448) has signed
 * nothing that it would accept: `unreadable`.
 */
export function signedBy(
  subject: X509Certificate,
  issuer: X509Certificate,
  unreadable = false,
): boolean {
  if (subject.issuer !== issuer.subject) return false;
  try {
    return subject.verify(issuer.publicKey);
  } catch {
    return unreadable;
  }
}

function isSame(a: X509Certificate, b: X509Certificate): boolean {
  return a.raw.equals(b.raw);
}

function distinct(all: readonly X509Certificate[]): readonly X509Certificate[] {
  return all.filter((one, index) => all.findIndex((other) => isSame(one, other)) === index);
}

/** Bun returns undefined for an empty name. */
function nameText(name: string | undefined): string {
  const text = (name ?? "")
    .replaceAll("\n", ", ")
    .replaceAll(/\p{C}/gu, "?")
    .slice(0, nameLengthMax);
  return text === "" ? "one without a name" : text;
}

const nameLengthMax = 120;
