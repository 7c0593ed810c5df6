/** Claims of a certificate, and the verdict that a proxy of spiffe://test.example must give. */
import {
  issueAuthority,
  readAuthority,
  type Authority,
  type Issued,
  type LeafOptions,
} from "../../src/identity/issue.ts";
import {
  authorityKeyOf,
  authorityOf,
  craft,
  dns,
  email,
  extensions,
  keyUsageOf,
  namesOf,
  onlyOf,
  otherName,
  purposes,
  purposesOf,
  recut,
  uri,
  type Changes,
} from "./crafted.ts";

export type Role = "client" | "server";
export type Presented = { readonly leaf: Issued; readonly chain?: readonly Issued[] };
type Make = (role: Role) => Presented;

export const root = issueAuthority("the authority");
const id = "spiffe://test.example/ns/default/sa/peer";
const hour = 3_600_000;

const bad = (options: LeafOptions, changes: Changes = {}): Presented => ({
  leaf: craft(root, { spiffeId: id, ...options }, changes),
});
const named = (...texts: readonly string[]): Presented =>
  bad({}, { [extensions.names]: [namesOf(...texts.map(uri))] });
const usable = (...identifiers: readonly string[]): Presented =>
  bad({}, { [extensions.purposes]: [purposesOf(...identifiers)] });
const below = (issuer: Authority, ...chain: readonly Issued[]): Presented => ({
  leaf: craft(issuer, { spiffeId: id }),
  chain,
});

/** A certificate of an intermediate CA, changed. */
function middle(changes: Changes): Authority {
  return recut(issueAuthority("middle", root), root, changes);
}

/** Certificates without a valid SPIFFE ID of the trust domain; each with the log's reason and words. */
export const wrongNames: readonly (readonly [string, Make, string, string])[] = [
  ["has no name", () => bad({}, { [extensions.names]: [] }), "no-spiffe-id", "it has no URI name"],
  ["has two URI names", () => named(id, `${id}2`), "no-spiffe-id", "it has 2 URI names, not one"],
  ["has the same name twice", () => named(id, id), "no-spiffe-id", "it has 2 URI names, not one"],
  [
    "has an ID and another URI",
    () => named(id, "https://test.example/"),
    "no-spiffe-id",
    "it has 2 URI names, not one",
  ],
  [
    "spells an ID as a DNS name",
    () => bad({}, { [extensions.names]: [namesOf(dns(id))] }),
    "no-spiffe-id",
    "its SPIFFE ID is a DNS name, not a URI",
  ],
  [
    "spells an ID as a mail address",
    () => bad({}, { [extensions.names]: [namesOf(email(id))] }),
    "no-spiffe-id",
    "it has no URI name",
  ],
  [
    "spells an ID as another name",
    () => bad({}, { [extensions.names]: [namesOf(otherName(id))] }),
    "no-spiffe-id",
    "it has no URI name",
  ],
  [
    "has an ID in its common name only",
    () => bad({ commonName: id }, { [extensions.names]: [] }),
    "no-spiffe-id",
    "it has no URI name",
  ],
  ...(
    [
      ["SPIFFE://test.example/web", "its scheme is not in lower case"],
      ["spiffe://TEST.example/web", "its trust domain is not in lower case"],
      ["spiffe://test.example/%77eb", "it is percent-encoded"],
      ["spiffe://test.example:443/web", "its trust domain has a port"],
      ["spiffe://test.example/web?a=b", "it has a query"],
      ["spiffe://test.example/web#a", "it has a fragment"],
      ["spiffe://root@test.example/web", "it has user information"],
      ["spiffe://test.example/web/", "it ends with a slash"],
      ["spiffe://test.example/", "it ends with a slash"],
      ["spiffe://test.example//web", "it has an empty segment"],
      ["spiffe://test.example/a/../web", "it has a segment of dots"],
      ["spiffe://test.example/./web", "it has a segment of dots"],
      ["spiffe://test.example/web,x", "its path has a forbidden character"],
      ["spiffe:///web", "it has no trust domain"],
      ["https://test.example/web", "it does not begin with spiffe://"],
      // X509-SVID, 5.2: a validator ensures that a leaf's ID has a path.
      ["spiffe://test.example", "path"],
    ] as const
  ).map(([text, says]) => [`names ${text}`, () => named(text), "no-spiffe-id", says] as const),
  [
    "names an ID of 2049 bytes",
    () => named(`spiffe://test.example/${"a".repeat(2049 - 22)}`),
    "no-spiffe-id",
    "longer than 2048 bytes",
  ],
  [
    "has a NUL in its name",
    () => named("spiffe://test.example/web\0.other.example"),
    "malformed-certificate",
    "a printable name expected",
  ],
  [
    "has its names twice",
    () => bad({}, { [extensions.names]: [namesOf(uri(id)), namesOf(uri(id))] }),
    "malformed-certificate",
    "each extension once expected",
  ],
  ...[
    "spiffe://other.example/web",
    "spiffe://test.example.evil/web",
    "spiffe://xtest.example/web",
    "spiffe://test.exampl/web",
    "spiffe://other.example/test.example/web",
  ].map(
    (text) =>
      [
        `names ${text}`,
        () => named(text),
        "wrong-trust-domain",
        `${text} is not of the trust domain test.example (--trust-domain)`,
      ] as const,
  ),
];

const chainEnd = "certificate signed by an unknown CA";
const notMeant = "certificate is not meant for a ROLE (extended key usage)";
const isAuthoritys = "this is a CA certificate (CA:TRUE), not a workload's";

/** Certificates that may not be used, whatever names they have. ROLE is the peer's. */
export const wrongUses: readonly (readonly [string, Make, string, string])[] = [
  [
    "is for the other role only",
    (role) => usable(role === "client" ? purposes.server : purposes.client),
    "wrong-purpose",
    notMeant,
  ],
  ["is for code only", () => usable(purposes.codeSigning), "wrong-purpose", notMeant],
  ["has an empty list of purposes", () => usable(), "wrong-purpose", notMeant],
  // The TLS library does not accept it either.
  ["is for any purpose", () => usable(purposes.any), "wrong-purpose", notMeant],
  ["is a CA certificate", () => bad({ isAuthority: true }), "ca-as-leaf", isAuthoritys],
  // X509-SVID, 5.2: a validator ensures that neither is set in a leaf's key usage.
  [
    "may sign certificates",
    () => bad({}, { [extensions.keyUsage]: [keyUsageOf(0x84)] }),
    "ca-as-leaf",
    "",
  ],
  [
    "may sign revocation lists",
    () => bad({}, { [extensions.keyUsage]: [keyUsageOf(0x82)] }),
    "ca-as-leaf",
    "",
  ],
  [
    "has expired",
    () =>
      bad({ notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() - hour) }),
    "expired",
    "certificate has expired at 20",
  ],
  [
    "is not valid yet",
    () => bad({ notBefore: new Date(Date.now() + hour) }),
    "not-yet-valid",
    "certificate is not valid before 20",
  ],
];

/** Valid certificates from invalid chains. */
export const wrongChains: readonly (readonly [string, Make, string, string])[] = [
  ["is signed by itself", selfSigned, "untrusted-chain", "certificate is self-signed"],
  ["is from another CA", () => below(issueAuthority("another")), "untrusted-chain", chainEnd],
  [
    "is from another CA, which it sends",
    () => {
      const other = issueAuthority("another");
      return below(other, other);
    },
    "untrusted-chain",
    chainEnd,
  ],
  [
    "is from another CA of the same name",
    impostor,
    "untrusted-chain",
    "certificate's signature is not its issuer's",
  ],
  [
    "is below an intermediate that it does not send",
    () => below(middle({})),
    "untrusted-chain",
    chainEnd,
  ],
  [
    "is below an intermediate that has expired",
    () => {
      const old = issueAuthority("old", root, new Date(Date.now() - 60_000));
      return below(old, old);
    },
    "untrusted-chain",
    "a certificate of the chain has expired",
  ],
  [
    "is below an intermediate that is not a CA",
    () => {
      const none = middle({ [extensions.basicConstraints]: [authorityOf(false)] });
      return below(none, none);
    },
    "untrusted-chain",
    // The TLS library's words: the same for an intermediate as for a purpose.
    "certificate is not meant for this use",
  ],
  [
    "is below an intermediate that may not sign certificates",
    () => {
      const none = middle({ [extensions.keyUsage]: [keyUsageOf(0x02)] });
      return below(none, none);
    },
    "untrusted-chain",
    chainEnd,
  ],
  [
    "is signed by another workload",
    () => {
      const workload = readAuthority(craft(root, { spiffeId: id, commonName: "workload" }));
      return below(workload, workload);
    },
    "untrusted-chain",
    chainEnd,
  ],
  [
    "is below an intermediate for another trust domain",
    () => {
      const other = middle({ [extensions.nameConstraints]: [onlyOf("other.example")] });
      return below(other, other);
    },
    "untrusted-chain",
    "a CA of the chain does not permit one of the names (name constraints)",
  ],
  [
    "is below more intermediates than the upper one allows",
    () => {
      const upper = middle({ [extensions.basicConstraints]: [authorityOf(true, 0)] });
      const lower = issueAuthority("lower", upper);
      return below(lower, lower, upper);
    },
    "untrusted-chain",
    "the chain is longer than one of its CAs allows (pathlen)",
  ],
  [
    "is below 110 intermediates",
    () => {
      const chain = [root];
      for (let depth = 1; depth <= 110; depth += 1)
        chain.unshift(issueAuthority(`intermediate ${depth}`, chain[0]));
      return below(chain[0] ?? root, ...chain.slice(0, -1));
    },
    "untrusted-chain",
    "certificate chain is not accepted: CERT_CHAIN_TOO_LONG",
  ],
];

/** Unusual certificates that are as valid as any other. */
export const unusual: readonly (readonly [string, Make])[] = [
  ["is an ordinary one", () => bad({})],
  ["has an RSA key", () => bad({ rsa: true })],
  ["has no list of purposes", () => bad({ usages: [] })],
  ["is for its role only", (role) => usable(purposes[role])],
  ["names an ID of 2048 bytes", () => named(`spiffe://test.example/${"a".repeat(2048 - 22)}`)],
  [
    "has a DNS name, a mail address and another name beside its ID",
    () =>
      bad(
        {},
        {
          [extensions.names]: [
            namesOf(dns("other.example"), email("a@b.example"), otherName("c"), uri(id)),
          ],
        },
      ),
  ],
  [
    "is below an intermediate that it sends",
    () => {
      const above = middle({});
      return below(above, above);
    },
  ],
  [
    "is below an intermediate for its trust domain",
    () => {
      const own = middle({ [extensions.nameConstraints]: [onlyOf("test.example")] });
      return below(own, own);
    },
  ],
  [
    "sends its root too",
    () => {
      const above = middle({});
      return below(above, above, root);
    },
  ],
];

function selfSigned(): Presented {
  const own = issueAuthority("myself");
  const changes = {
    [extensions.basicConstraints]: [authorityOf(false)],
    [extensions.keyUsage]: [],
    [extensions.names]: [namesOf(uri(id))],
  };
  return { leaf: recut(own, own, changes) };
}

/** It claims the root's key as well. */
function impostor(): Presented {
  const other = issueAuthority("the authority");
  const changes = { [extensions.authorityKey]: [authorityKeyOf(root)] };
  return { leaf: craft(other, { spiffeId: id }, changes) };
}
