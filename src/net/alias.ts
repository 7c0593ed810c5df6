/**
 * The pod's alias addresses on `lo`: the proxy uses them to reach an application whose own address it cannot use,
 * because the connection on the wire already uses the client's address and port with it. They are unreachable from
 * outside (intercept/rules/inbound.ts), and packets from them stay in the pod (intercept/rules/outbound.ts).
 */
import { parseHost, parseSocketAddress, portedAs, type SocketAddress } from "./address.ts";

/** Link-local (RFC 3927), and unique local (RFC 4193) with a random prefix. */
export const aliasTexts = { 4: "169.254.77.1", 6: "fd74:7072:6f78:7931::1" } as const;

export const aliases = { 4: parseHost(aliasTexts[4]), 6: parseHost(aliasTexts[6]) } as const;

export function aliasOf({ family, port }: SocketAddress): SocketAddress {
  return portedAs(sockets[family], port);
}

const sockets = {
  4: parseSocketAddress(`${aliasTexts[4]}:0`),
  6: parseSocketAddress(`[${aliasTexts[6]}]:0`),
} as const;
