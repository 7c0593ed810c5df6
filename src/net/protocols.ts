/** The ALPN names by which our proxies recognise each other in the TLS handshake: RFC 7301. Pure. */

/** A proxy of any version: the sign on a permissive port. */
export const ourProtocol = "tproxy/1";
/** The client's proxy first sends the source of its connection: original-source/proxy-header.ts. */
export const headerProtocol = "tproxy/2";

/** In the wire format of RFC 7301, 3.1, best first. */
export function offerOf(names: readonly string[]): string {
  return names.map((name) => String.fromCharCode(name.length) + name).join("");
}

/**
 * A server's choice from a client's offer: ours, else one of `spoken`, the application's protocols in the policy,
 * best first. False: none, as if it had no ALPN. A server with a fixed list would have to refuse all other clients
 * (RFC 7301, 3.2).
 */
export function choose(offered: Uint8Array, spoken: readonly string[]): string | false {
  const names = offeredNames(offered);
  return [headerProtocol, ourProtocol, ...spoken].find((name) => names.includes(name)) ?? false;
}

/** Whether a policy may name it: printable, at most 255 bytes of UTF-8, and not one of our proxies' own. */
export function isForeignProtocol(name: string): boolean {
  return /^[\x21-\x7E]{1,127}$/.test(name) && !name.startsWith("tproxy/");
}

function offeredNames(offered: Uint8Array): readonly string[] {
  const names: string[] = [];
  for (let at = 0; at < offered.length; at += 1 + (offered[at] ?? 0))
    names.push(String.fromCharCode(...offered.subarray(at + 1, at + 1 + (offered[at] ?? 0))));
  return names;
}
