/** The names by which our proxies know each other in TLS's handshake: ALPN, RFC 7301. Pure. */

/** A proxy, of whatever version: the sign on a port that takes anything. */
export const ourProtocol = "tproxy/1";
/** The client's proxy first tells where its connection comes from: source/preamble.ts. */
export const tellingProtocol = "tproxy/2";

/** In the wire form of RFC 7301, 3.1, those that are liked best first. */
export function offerOf(names: readonly string[]): string {
  return names.map((name) => String.fromCharCode(name.length) + name).join("");
}

/**
 * What a server of ours makes of a client's offer. False: nothing, as if it had no ALPN. A server that had a list of its
 * own would have to refuse all others (RFC 7301, 3.2), and who speaks what behind it only the application knows.
 */
export function choose(offered: Uint8Array): string | false {
  const names = offeredNames(offered);
  return [tellingProtocol, ourProtocol].find((name) => names.includes(name)) ?? false;
}

function offeredNames(offered: Uint8Array): readonly string[] {
  const names: string[] = [];
  for (let at = 0; at < offered.length; at += 1 + (offered[at] ?? 0))
    names.push(String.fromCharCode(...offered.subarray(at + 1, at + 1 + (offered[at] ?? 0))));
  return names;
}
