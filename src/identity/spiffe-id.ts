/** SPIFFE IDs: the name of a workload, `spiffe://<trust domain>/<path>`. The SPIFFE-ID standard, section 2. */
import { ProxyError } from "../runtime/errors.ts";
import { quote } from "../runtime/log/escape.ts";

declare const brand: unique symbol;

/** A valid SPIFFE ID. Made only in this file. */
export type SpiffeId = string & { readonly [brand]: "SpiffeId" };

/** Parses an ID byte for byte, without normalisation; throws SPIFFE_ID_INVALID with the fault (`spiffeFault`). */
export function parseSpiffeId(text: string): SpiffeId {
  const fault = spiffeFault(text);
  if (fault === null) return text as SpiffeId;
  const shown = quote(text, shownMax);
  throw new ProxyError("SPIFFE_ID_INVALID", `not a SPIFFE ID: ${shown} (${fault})`);
}

/** The name space that the ID belongs to. */
export function trustDomainOf(id: SpiffeId): string {
  return id.slice(scheme.length).split("/")[0] ?? "";
}

/** Whether a text may be a trust domain. */
export function isTrustDomain(text: string): boolean {
  return domainFault(text) === null;
}

/** Why a text is not an ID, in words for an operator, or null. */
export function spiffeFault(text: string): string | null {
  if (text.length > lengthMax) return "longer than 2048 bytes";
  if (!text.startsWith(scheme))
    return text.toLowerCase().startsWith(scheme)
      ? "its scheme is not in lower case"
      : "it does not begin with spiffe://";
  for (const [character, name] of forbidden) if (text.includes(character)) return name;
  const [domain = "", ...segments] = text.slice(scheme.length).split("/");
  return domainFault(domain) ?? pathFault(segments);
}

function domainFault(domain: string): string | null {
  if (domain === "") return "it has no trust domain";
  if (domain.includes(":")) return "its trust domain has a port";
  if (/[A-Z]/.test(domain)) return "its trust domain is not in lower case";
  return /^[a-z0-9._-]{1,255}$/.test(domain) ? null : "its trust domain has a forbidden character";
}

function pathFault(segments: readonly string[]): string | null {
  // It names a trust domain, not a workload: X509-SVID, 3.1.
  if (segments.length === 0) return "it has no path";
  if (segments.at(-1) === "") return "it ends with a slash";
  for (const segment of segments) {
    if (segment === "") return "it has an empty segment";
    if (segment === "." || segment === "..") return "it has a segment of dots";
    if (!/^[a-zA-Z0-9._-]+$/.test(segment)) return "its path has a forbidden character";
  }
  return null;
}

const scheme = "spiffe://";
const lengthMax = 2048;
const shownMax = 100;
const forbidden = [
  ["\0", "it has a NUL"],
  ["%", "it is percent-encoded"],
  ["?", "it has a query"],
  ["#", "it has a fragment"],
  ["@", "it has user information"],
] as const;
