/** SPIFFE IDs: the name of a workload, `spiffe://<trust domain>/<path>`. */
import { ProxyError } from "../errors.ts";

declare const brand: unique symbol;

/** A name that keeps to the standard. Made only in this file. */
export type SpiffeId = string & { readonly [brand]: "SpiffeId" };

/**
 * Reads an ID; throws SPIFFE_ID_INVALID. Lower-case trust domain, path of plain segments without "." or "..",
 * no percent-encoding, no port, no query, 2048 bytes at most: the SPIFFE-ID standard, section 2.
 */
export function parseSpiffeId(text: string): SpiffeId {
  const segments = shape.exec(text)?.[1]?.split("/").slice(1) ?? null;
  const dotted = segments?.some((segment) => segment === "." || segment === "..");
  if (text.length > bytesMax || segments === null || dotted === true)
    throw new ProxyError(
      "SPIFFE_ID_INVALID",
      `not a SPIFFE ID: ${JSON.stringify(text.slice(0, 100))}`,
    );
  return text as SpiffeId;
}

const shape = /^spiffe:\/\/[a-z0-9._-]{1,255}((?:\/[a-zA-Z0-9._-]+)*)$/;
const bytesMax = 2048;
