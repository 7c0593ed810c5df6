/** Why peers would reject the path from our certificate to a root: which certificate, and its fault. Pure. */
import type { X509Certificate } from "node:crypto";

import { issuerOf, signedBy, subjectOf, type ChainPath } from "./chain.ts";
import { readConstraints, type Constraints } from "./constraints.ts";

export type ChainFault = {
  readonly text: string;
  /** When the fault ends by itself, in milliseconds since 1970; null if never. */
  readonly validFrom: number | null;
};

/** For a path that leads to no root in the bundle. `bundle` is not empty. */
export function unrootedText(
  { certificates }: ChainPath,
  bundle: readonly X509Certificate[],
  {
    roots,
    bundlePath,
  }: { readonly roots: readonly X509Certificate[]; readonly bundlePath: string },
): string {
  const last = certificates.at(-1);
  const [first] = bundle;
  if (last === undefined || first === undefined) return "";
  if (roots.length === 0 && !first.ca)
    return `${bundlePath} holds no CA: ${subjectOf(first)} is a workload's certificate. Put the CA's there`;
  const namesake = roots.find(({ subject }) => subject === last.issuer && last.subject !== subject);
  if (namesake !== undefined)
    return (
      `it ends at ${subjectOf(last)}, issued by a CA that has the name ${subjectOf(namesake)} as the one there, but another key ` +
      "(it was renewed, or installed again). Add that CA's certificate to --ca-cert, here and at the peers, and keep the old one until all have new certificates"
    );
  if (roots.length === 0)
    return (
      `${bundlePath} holds no root CA, only the intermediate CA ${subjectOf(first)}, issued by ${issuerOf(first)} ` +
      "(as Vault writes ca.crt). Put the root's certificate there"
    );
  const own = last.subject === last.issuer ? subjectOf(last) : issuerOf(last);
  const theirs = roots.slice(0, namesShownMax).map(subjectOf).join("; ");
  const more = roots.length > namesShownMax ? `; ${roots.length - namesShownMax} more` : "";
  return (
    `it ends at ${subjectOf(last)}, issued by ${issuerOf(last)}, and the CAs there are ${theirs}${more}. ` +
    `If an intermediate is missing, append it to --cert. If our own CA differs from that of the peers, add ` +
    `${own} to --ca-cert: peers with the same CA bundle would refuse us`
  );
}

/** The first fault from the leaf up, or null if none is known. `now` in milliseconds since 1970. */
export function chainFault({ certificates }: ChainPath, now: number): ChainFault | null {
  const read = certificates.map((certificate) => readConstraints(certificate.raw));
  for (const [index, certificate] of certificates.entries()) {
    const fault = faultOf(read, index, now);
    if (fault === null) continue;
    const where = placeText(index, certificates.length, certificate);
    return { text: `${where} ${fault.text}`, validFrom: fault.validFrom };
  }
  return null;
}

/**
 * For a path without a fault: a CA on it may have another certificate in the files, with the same name and key, and
 * the TLS library uses the first that it finds.
 */
export function twinFault(
  { certificates }: ChainPath,
  all: readonly X509Certificate[],
  now: number,
): ChainFault | null {
  for (const [index, certificate] of certificates.entries()) {
    const below = certificates[index - 1];
    if (below === undefined) continue;
    const twins = all.filter((one) => !one.raw.equals(certificate.raw) && signedBy(below, one));
    for (const twin of twins) {
      const fault = chainFault(
        { certificates: certificates.with(index, twin), isWhole: true },
        now,
      );
      if (fault !== null) return { ...fault, text: `${fault.text}. ${besideIt}` };
    }
  }
  return null;
}

function faultOf(
  read: readonly (Constraints | null)[],
  index: number,
  now: number,
): ChainFault | null {
  const own = read[index];
  if (own === undefined || own === null) return lasting("cannot be read");
  if (now > own.notAfter) return lasting(`has expired at ${iso(own.notAfter)}: renew it`);
  if (now < own.notBefore)
    return { text: `is not valid before ${iso(own.notBefore)}`, validFrom: own.notBefore };
  if (own.unknownCritical.length > 0)
    return lasting(
      `has a critical extension that is not known (${own.unknownCritical.join(", ")})`,
    );
  const text = index === 0 ? leafFault(own) : issuerFault(own, read, index);
  return text === null ? null : lasting(text);
}

function leafFault({ usages, maySign, maySignData, isAuthority }: Constraints): string | null {
  if (isAuthority || maySign)
    return "is a CA certificate, or may sign others: a workload's certificate is required";
  if (!maySignData) return "may not sign (its key usage has no digitalSignature)";
  return purposeFault(usages);
}

function issuerFault(
  own: Constraints,
  read: readonly (Constraints | null)[],
  index: number,
): string | null {
  if (!own.isAuthority && own.version >= 3)
    return "is not a CA certificate (its basicConstraints do not say CA:TRUE)";
  if (!own.maySign && own.hasKeyUsage)
    return "may not sign certificates (its key usage has no keyCertSign)";
  const below = index - 1;
  if (own.pathLength !== null && below > own.pathLength)
    return `allows ${own.pathLength} CAs below it (pathlen), and ${below} are`;
  const constrained = own.constrainsAddresses && (read[0]?.namesAddresses ?? false);
  if (constrained)
    return "has name constraints of IP addresses, which the TLS library (BoringSSL) does not know: it refuses every certificate below it that names an address";
  return purposeFault(own.usages);
}

/** Every proxy is a server to its clients and a client of its servers. */
function purposeFault(usages: readonly string[] | null): string | null {
  if (usages === null) return null;
  const missing = purposes.filter(([oid]) => !usages.includes(oid));
  if (missing.length === 0) return null;
  if (missing.length === purposes.length)
    return "is not meant for TLS (its extended key usage has neither serverAuth nor clientAuth)";
  const has = purposes.find(([oid]) => usages.includes(oid))?.[2] ?? "";
  const lacks = missing[0]?.[1] ?? "";
  return `is for ${has} only (extended key usage): have it reissued with ${lacks} as well, because a proxy is both server and client`;
}

function placeText(index: number, count: number, certificate: X509Certificate): string {
  const subject = subjectOf(certificate);
  if (index === 0) return `our certificate (${subject})`;
  return index === count - 1
    ? `the root (${subject}, in --ca-cert)`
    : `intermediate ${index} (${subject})`;
}

function lasting(text: string): ChainFault {
  return { text, validFrom: null };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

const besideIt =
  "There is a good certificate of the same CA beside it, which the TLS library does not choose: remove the bad one";
const namesShownMax = 3;
/** Identifier, its name, who uses it. */
const purposes = [
  ["1.3.6.1.5.5.7.3.1", "serverAuth", "servers"],
  ["1.3.6.1.5.5.7.3.2", "clientAuth", "clients"],
] as const;
