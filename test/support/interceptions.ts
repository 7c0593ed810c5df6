/** Configurations whose planned rules are compared with nft's. */
import { defaultFixed, defaultPolicy } from "../../src/config.ts";
import { type Interception, interceptionOf } from "../../src/intercept/rules/interception.ts";
import { parseSocketAddress } from "../../src/net/address.ts";
import { parseCidr } from "../../src/net/cidr.ts";
import { parsePortRange, singlePort } from "../../src/net/ports.ts";
import { noProbes, parseProbe, type Probes } from "../../src/probe/probe.ts";

export const defaults: Interception = interceptionOf(defaultPolicy, defaultFixed);

/** Every option at once, with ranges at both ends of the address space. */
export const everything: Interception = {
  meshRanges: ["0.0.0.0/1", "10.0.0.0/8", "192.168.0.0/16", "::/0"].map(parseCidr),
  excludedRanges: ["10.1.0.0/16", "10.2.0.1", "fd00::/64", "fd00::1:0:0:0:1"].map(parseCidr),
  outboundPorts: "all",
  excludedOutboundPorts: [25, 53].map(singlePort),
  inboundPorts: [80, 443, 8081].map(singlePort),
  excludedInboundPorts: [8081, 22].map(singlePort),
  excludedUids: [0, 1337],
  onlyUids: [33, 1000],
  excludedGids: [7],
  onlyGids: [33, 100],
  forwarded: "drop",
  excludedDestinations: ["10.96.0.1:443", "[fd96::1]:443"].map(parseSocketAddress),
  mark: { value: 0x500, mask: 0xf00 },
  tcpPort: 1001,
  tlsPort: 1002,
  inspectedPorts: { kind: "only", ports: [8082, 443].map(singlePort) },
  inspectPort: 1003,
  statusPort: 15_021,
  probes: noProbes,
};

/** Port ranges wherever they are allowed: up to both ends, adjacent and overlapping. */
export const ranged: Interception = {
  ...everything,
  outboundPorts: ["1-1023", "8000-8100", "8101", "60000-65535"].map(parsePortRange),
  excludedOutboundPorts: ["25", "50-60", "55-70"].map(parsePortRange),
  inboundPorts: ["80", "8000-8100"].map(parsePortRange),
  excludedInboundPorts: ["22", "15000-15100"].map(parsePortRange),
  inspectedPorts: { kind: "only", ports: ["8000-8010", "8090"].map(parsePortRange) },
};

const probes: Probes = {
  mode: "bypass",
  declared: ["http:8080/healthz", "tcp:5432", "grpc:9000"].map(parseProbe),
  sources: ["10.0.0.7", "10.244.0.0/24", "fd00::7"].map(parseCidr),
};

export const bypassed: Interception = { ...defaults, probes };

/** A port with probes of two kinds. */
export const probed: Interception = {
  ...defaults,
  probes: { ...probes, mode: "inspect", declared: [...probes.declared, parseProbe("tcp:9000")] },
};
