/**
 * The subjects of check and selftest: a stable id, and the title in the text output. The topic `json` lists the ids.
 */

export const checkTitles = {
  scope: "scope",
  "dns-over-tcp": "DNS over TCP",
  environment: "environment",
  "mesh-coverage": "mesh",
  "service-addresses": "mesh",
  "source-addresses": "source addresses",
  "api-server": "API server",
  probes: "probes",
  "kernel-nftables": "nftables",
  "kernel-tproxy-ipv4": "TPROXY for IPv4",
  "kernel-tproxy-ipv6": "TPROXY for IPv6",
  "kernel-fib": "address lookup in rules",
  "kernel-route-chain": "marks that change the route",
  "kernel-dynamic-sets": "sets that packets change",
  "kernel-conntrack": "connection tracking in rules",
  "kernel-nat": "address translation in rules",
  "kernel-socket-match": "sockets in rules",
  "kernel-reject": "resets by rules",
  "kernel-routing-ipv4": "routing by mark, IPv4",
  "kernel-routing-ipv6": "routing by mark, IPv6",
  "kernel-transparent-ipv4": "transparent and marked sockets, IPv4",
  "kernel-transparent-ipv6": "transparent and marked sockets, IPv6",
  "kernel-rules": "all rules together",
  "kernel-rule-events": "notification of changed rules",
  "kernel-net-raw": "marks with CAP_NET_RAW alone",
  "kernel-trial": "trial in a separate namespace",
  "cap-net-admin": "CAP_NET_ADMIN",
  "cap-net-raw": "CAP_NET_RAW",
  "cap-net-bind-service": "CAP_NET_BIND_SERVICE",
  descriptors: "descriptors",
  memory: "memory",
  "credential-files": "files",
  "credential-left-out": "left out",
  "certificate-purposes": "purposes",
  "certificate-chain": "chain",
  "certificate-validity": "validity",
  "certificate-identity": "identity",
  "certificate-addresses": "addresses",
  "trust-domain": "trust domain",
  "proxy-running": "ports",
  "tcp-port": "--tcp-port",
  "tls-port": "--tls-port",
  "inspect-port": "--inspect-port",
  "status-address": "--status-address",
  "wire-ports": "ports for connections to peers",
  "loopback-interface": "interface lo",
  "path-filter": "path filter",
  "connection-tracking": "connection tracking",
  ipv6: "IPv6",
  "other-transports": "transports other than TCP",
  "forwarded-packets": "forwarded packets",
  "cleartext-connections": "connections in cleartext",
  "trial-connections": "trial connections",
  "other-nftables": "nftables of others",
  "other-marks": "marks that others set",
  "earlier-routing-rules": "routing rules before ours",
  "legacy-iptables": "legacy iptables",
} as const;

export const selftestTitles = {
  shim: "shim",
  "shim-in-worker": "shim in a Worker",
  timers: "timers",
  cryptography: "cryptography",
  "tcp-loopback": "TCP over loopback",
  "hosts-file": "names in /etc/hosts",
  netlink: "netlink",
  "own-start": "starting itself",
  "mutual-tls": "mutual TLS, and memory",
} as const;

const titles = { ...checkTitles, ...selftestTitles };
export type FindingId = keyof typeof titles;

export function titleOf(id: FindingId): string {
  return titles[id];
}

export function isFindingId(text: string): text is FindingId {
  return Object.hasOwn(titles, text);
}
