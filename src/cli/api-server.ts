/** The cluster's API server, as far as the environment and the service account's files name it. */
import { ProxyError } from "../runtime/errors.ts";
import {
  decodeSocketAddress,
  distinctSockets,
  encodeSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from "../net/address.ts";
import type { Environment } from "./environment.ts";

/**
 * All addresses that are given: the Service's, and the endpoint's if KUBERNETES_SERVICE_HOST or the token's issuer
 * has it. `token`: the service account's, "" without one. Names are ignored: they would have to be resolved.
 */
export function apiServersOf(environment: Environment, token: string): readonly SocketAddress[] {
  const { KUBERNETES_SERVICE_HOST: host = "" } = environment;
  const ports = ["KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"].map(
    (name) => environment[name],
  );
  const links = Object.entries(environment)
    .filter(([name]) => /^KUBERNETES_PORT(_\d+_TCP)?$/.test(name))
    .map(([, value = ""]) => /^tcp:\/\/(.+)$/.exec(value)?.[1] ?? "");
  const texts = [
    ...ports.map((port) => `${host.includes(":") ? `[${host}]` : host}:${port ?? ""}`),
    ...links,
    ...issuersOf(token),
  ];
  return distinctSockets(texts.map(parsed).filter((address) => address !== null));
}

/** The Service's address, null if it is given as a name or not at all. */
export function serviceAddress({
  KUBERNETES_SERVICE_HOST: host = "",
}: Environment): SocketAddress | null {
  return parsed(host.includes(":") ? `[${host}]:443` : `${host}:443`);
}

/** The API server's name if it is not given as an address; it is not resolved. */
export function namedApiServer({ KUBERNETES_SERVICE_HOST: host }: Environment): string | null {
  const isName =
    host !== undefined && /^[a-z0-9-]+(\.[a-z0-9-]+)*\.?$/i.test(host) && !/^[\d.]+$/.test(host);
  return isName ? host : null;
}

/**
 * A token's issuer and audiences that are URLs with an address: RFC 7519, 4.1. The file is the kubelet's; no other
 * process writes it.
 */
function issuersOf(token: string): readonly string[] {
  const [, payload = ""] = token.split(".");
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    if (typeof claims !== "object" || claims === null) return [];
    const issuer = "iss" in claims ? [claims.iss] : [];
    const audience = "aud" in claims ? [claims.aud] : [];
    return [...issuer, ...audience].flat().flatMap((one) => hostOf(String(one)));
  } catch {
    return []; // No token, or in an unknown form.
  }
}

function hostOf(text: string): readonly string[] {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "https:") return [];
  return [`${url.hostname}:${url.port === "" ? "443" : url.port}`];
}

/** Port 0 has no listener. */
function parsed(text: string): SocketAddress | null {
  try {
    const address = decodeSocketAddress(encodeSocketAddress(parseSocketAddress(text)));
    return address.port === 0 ? null : address;
  } catch (error) {
    if (error instanceof ProxyError) return null;
    throw error;
  }
}
