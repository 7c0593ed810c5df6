/** Patterns of SPIFFE IDs: `*` stands for exactly one whole path segment. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { parseSpiffeId, type SpiffeId } from "../identity/spiffe-id.ts";
import { quote } from "../runtime/log/escape.ts";

/** Its segments; null for any. No regular expression: all others are compared byte for byte. */
export type IdPattern = { readonly text: string; readonly segments: readonly (string | null)[] };

/** "spiffe://example.org/ns/default/sa/*". Throws SPIFFE_ID_INVALID for a pattern that can never match an ID. */
export function parseIdPattern(text: string): IdPattern {
  const segments = text.split("/");
  const domain = segments.slice(0, domainEnd);
  if (domain.some((segment) => segment.includes("*")))
    throw new ProxyError(
      "SPIFFE_ID_INVALID",
      `${quote(text)}: * is not allowed in the trust domain`,
    );
  const partial = segments.find((segment) => segment.includes("*") && segment !== "*");
  if (partial !== undefined)
    throw new ProxyError(
      "SPIFFE_ID_INVALID",
      `${quote(text)}: * must be a whole segment, not ${quote(partial)}`,
    );
  // The other segments must be valid in an ID.
  parseSpiffeId(segments.map((segment) => (segment === "*" ? "any" : segment)).join("/"));
  return { text, segments: segments.map((segment) => (segment === "*" ? null : segment)) };
}

/** The trust domain, which every pattern has. */
export function domainOfPattern({ segments }: IdPattern): string {
  return segments[domainEnd - 1] ?? "";
}

export function matches(pattern: IdPattern, id: SpiffeId): boolean {
  const segments = id.split("/");
  if (segments.length !== pattern.segments.length) return false;
  return pattern.segments.every((wanted, at) => wanted === null || wanted === segments[at]);
}

/** "spiffe:", "", and the trust domain. */
const domainEnd = 3;
