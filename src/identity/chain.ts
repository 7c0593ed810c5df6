/** The way from our certificate to a root: in which order it is sent, and which certificates it leads over. Pure. */
import type { X509Certificate } from "node:crypto";

export type ChainPath = {
  /** From the leaf on. */
  readonly certificates: readonly X509Certificate[];
  /** Whether the last one is a self-signed certificate of the bundle. */
  readonly isWhole: boolean;
};

/**
 * The leaf, then those above it in the order of issuance (RFC 8446, 4.4.2), each once; and those of `others` that have no
 * part in it. Both versions of a cross-signed CA have their part.
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
 * Follows issuers through bundle and chain to a self-signed certificate of the bundle: the TLS library takes nothing less,
 * so a bundle of intermediates alone would refuse every peer. Of several ways a whole one is taken, over certificates that
 * are valid at `now` if there is one; else the longest.
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

/** One that says so of itself, by name and by signature. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return signedBy(certificate, certificate);
}

/** For people: "CN=middle". */
export function subjectOf({ subject }: X509Certificate): string {
  return nameText(subject);
}

export function issuerOf({ issuer }: X509Certificate): string {
  return nameText(issuer);
}

class Search {
  readonly #known: readonly X509Certificate[];
  readonly #bundle: readonly X509Certificate[];
  /** Each certificate is followed once: where it has led to nothing it leads to nothing again. */
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
 * By name and signature; whether the issuer may sign is no matter here, a chain that ends for that reason would look
 * incomplete. One whose key the TLS library cannot read (Ed448, say) has signed nothing that it would accept: `unreadable`.
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

/** Bun has no text for an empty name. */
function nameText(name: string | undefined): string {
  const text = (name ?? "")
    .replaceAll("\n", ", ")
    .replaceAll(/\p{C}/gu, "?")
    .slice(0, nameLengthMax);
  return text === "" ? "one without a name" : text;
}

const nameLengthMax = 120;
