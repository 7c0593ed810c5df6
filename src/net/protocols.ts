/** The names by which our proxies know each other in TLS's handshake: ALPN, RFC 7301. Pure. */

/** A proxy, of whatever version: the sign on a port that takes anything. */
export const ourProtocol = "tproxy/1";
/** The client's proxy first tells where its connection comes from: original-source/proxy-header.ts. */
export const headerProtocol = "tproxy/2";

/** In the wire form of RFC 7301, 3.1, those that are liked best first. */
export function offerOf(names: readonly string[]): string {
  return names.map((name) => String.fromCharCode(name.length) + name).join("");
}

/**
 * What a server of ours makes of a client's offer: ours, else one of `spoken`, those that the application speaks as the
 * policy says, best first. False: nothing, as if it had no ALPN. A server that had a list of its own would have to refuse
 * all others (RFC 7301, 3.2).
 */
export function choose(offered: Uint8Array, spoken: readonly string[]): string | false {
  const names = offeredNames(offered);
  return [headerProtocol, ourProtocol, ...spoken].find((name) => names.includes(name)) ?? false;
}

/** Whether a policy may name it: printable, of a length that is one byte of UTF-8, and none of our proxies' own. */
export function isForeignProtocol(name: string): boolean {
  return /^[\x21-\x7E]{1,127}$/.test(name) && !name.startsWith("tproxy/");
}

function offeredNames(offered: Uint8Array): readonly string[] {
  const names: string[] = [];
  for (let at = 0; at < offered.length; at += 1 + (offered[at] ?? 0))
    names.push(String.fromCharCode(...offered.subarray(at + 1, at + 1 + (offered[at] ?? 0))));
  return names;
}
