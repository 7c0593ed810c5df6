/** The demo's three hosts on one network, and their messages. */

export type HostName = "a" | "b" | "c";
/** The hosts with a proxy. */
export type PodName = "a" | "b";

export type Host = {
  readonly name: HostName;
  readonly title: string;
  readonly ipv4: string;
  readonly ipv6: string;
};

export const hosts: Readonly<Record<HostName, Host>> = {
  a: { name: "a", title: "pod a", ipv4: "10.77.0.1", ipv6: "fd77::1" },
  b: { name: "b", title: "pod b", ipv4: "10.77.0.2", ipv6: "fd77::2" },
  c: { name: "c", title: "host c", ipv4: "10.77.0.3", ipv6: "fd77::3" },
};

/** Addresses of host c outside the mesh ranges: RFC 5737 and RFC 3849, documentation. */
export const internet = { ipv4: "198.51.100.7", ipv6: "2001:db8::7" } as const;

export const applicationPort = 8080;
export const statusPort = 15_020;

/** In each request; `case` distinguishes them. */
export const requestText = "GET /account/4711";
/** In each answer. */
export const answerText = "the balance is 1,234.56";

/** http://[fd77::2]:8080 for a host's address. */
export function urlOf(address: string, port: number): string {
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/** A workload's name in the demo's trust domain. */
export function podSpiffeId(name: PodName | "batch" | "intruder"): string {
  return `spiffe://demo.test/ns/demo/sa/${name}`;
}
