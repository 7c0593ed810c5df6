/** Configurations whose plans are compared with what nft makes of them. */
import { defaultFixed, defaultPolicy, type Interception } from "../../src/config.ts";
import { parseSocketAddress } from "../../src/net/address.ts";
import { parseCidr } from "../../src/net/cidr.ts";
import { interceptionOf } from "../../src/policy/interception.ts";
import { noProbes, parseProbe, type Probes } from "../../src/probe/probe.ts";

export const defaults: Interception = interceptionOf(defaultPolicy, defaultFixed);

/** Every option at once, with ranges that touch both ends of the address space. */
export const everything: Interception = {
  meshRanges: ["0.0.0.0/1", "10.0.0.0/8", "192.168.0.0/16", "::/0"].map(parseCidr),
  excludedRanges: ["10.1.0.0/16", "10.2.0.1", "fd00::/64", "fd00::1:0:0:0:1"].map(parseCidr),
  excludedOutboundPorts: [25, 53],
  inboundPorts: [80, 443, 8081],
  excludedInboundPorts: [8081, 22],
  excludedUids: [0, 1337],
  onlyUids: [33, 1000],
  excludedDestinations: ["10.96.0.1:443", "[fd96::1]:443"].map(parseSocketAddress),
  mark: { value: 0x500, mask: 0xf00 },
  tcpPort: 1001,
  tlsPort: 1002,
  inspectedPorts: { kind: "only", ports: [8082, 443] },
  inspectPort: 1003,
  statusPort: 15_021,
  probes: noProbes,
};

const probes: Probes = {
  mode: "bypass",
  declared: ["http:8080/healthz", "tcp:5432", "grpc:9000"].map(parseProbe),
  sources: ["10.0.0.7", "10.244.0.0/24", "fd00::7"].map(parseCidr),
};

export const bypassed: Interception = { ...defaults, probes };

/** With a port that has probes of two kinds. */
export const probed: Interception = {
  ...defaults,
  probes: { ...probes, mode: "inspect", declared: [...probes.declared, parseProbe("tcp:9000")] },
};
