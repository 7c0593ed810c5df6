/** Which rule decides on a connection, and what would happen to it: for people. Pure. */
import type { Fixed } from "../intercept/rules/interception.ts";
import type { PeerIdentity } from "../identity/certificate.ts";
import type { SpiffeId } from "../identity/spiffe-id.ts";
import {
  formatIp,
  formatSocketAddress,
  isLoopback,
  isSameSocket,
  type SocketAddress,
} from "../net/address.ts";
import { addressOf } from "../net/cidr.ts";
import { formatPorts, holdsPort } from "../net/ports.ts";
import { authorize, type Demand, type Expectation } from "../policy/authorize.ts";
import {
  contains,
  modeOf,
  neverIntercepted,
  offerRuleOf,
  sourceModeOf,
  spokenOf,
  type Mode,
  type Policy,
  type SourceMode,
} from "../policy/policy.ts";
import { probePorts, type Probes } from "../probe/probe.ts";
import type { Rules } from "../policy/rules.ts";

export type Explanation = {
  readonly lines: readonly string[];
  /** The peer that was asked about would be refused. */
  readonly refused: boolean;
};

export type ConnectionQuestion = {
  readonly address: SocketAddress;
  /** Who is at the other end; null if nobody was named. */
  readonly peer: SpiffeId | null;
};

/** A connection from here to an address. */
export function explainOutbound(
  question: ConnectionQuestion,
  rules: Rules,
  fixed: Fixed,
): Explanation {
  const { address } = question;
  const title = `From here to ${formatSocketAddress(address)}:`;
  const alone = leftAlone(address, rules.policy, fixed);
  if (alone !== null) return { lines: [title, `  in cleartext: ${alone}`], refused: false };
  const range = rules.policy.outbound.mesh.value.find((one) => contains(one, ...placeOf(address)));
  const { origin } = rules.policy.outbound.mesh;
  const lines = [
    title,
    `  mutual TLS, or reset: ${range?.text} is in the mesh (${origin})${ofOwners(fixed)}`,
    ...rules.server(address).map((demand) => `  the server ${demandText(demand)}`),
    ...offerLines(address, rules.policy),
    deviceLine,
  ];
  return withPeer(lines, question, rules.server(address));
}

/** A connection from elsewhere to one of our ports. */
export function explainInbound(
  question: ConnectionQuestion,
  rules: Rules,
  fixed: Fixed,
): Explanation {
  const { address } = question;
  const title = `From elsewhere to ${formatSocketAddress(address)} here:`;
  if (isLoopback(address))
    return { lines: [title, "  never: nobody outside reaches a loopback address"], refused: false };
  if (address.port === fixed.statusPort)
    return { lines: [title, "  in cleartext: it is the port of --status-address"], refused: false };
  const mode = modeOf(rules.policy, address.port);
  const lines = [title, `  ${modeTexts[mode.value]} (${mode.value}, ${mode.origin})`];
  if (mode.value === "passthrough") return { lines, refused: false };
  lines.push(...probeLines(fixed.probes, address));
  const demands = rules.client(address.port);
  const whom = demands.map((demand) => `  the client, with TLS, ${demandText(demand)}`);
  const anybody = "  the client, with TLS, may be anybody whom --ca-cert vouches for";
  const source = sourceModeOf(rules.policy, address.port);
  const plain = rules.sourceMode(address.port, true);
  const takesPlain = mode.value === "permissive" || mode.value === "audit";
  const ofPlain =
    takesPlain && plain !== source.value ? `; in cleartext ${sourceTexts[plain]}` : "";
  const seen = `  the application sees ${sourceTexts[source.value]} (${source.value}, ${source.origin})${ofPlain}`;
  const speaks = spokenLines(address, rules.policy);
  const whole = [...lines, ...(whom.length > 0 ? whom : [anybody]), ...speaks, seen];
  return withPeer(whole, question, demands);
}

/** What a server of other software is offered besides. */
function offerLines(address: SocketAddress, policy: Policy): readonly string[] {
  const rule = offerRuleOf(policy, ...placeOf(address));
  if (rule === null) return [];
  return [`  offered by ALPN after our own: ${(rule.alpn ?? []).join(", ")} (${rule.origin})`];
}

/** What a client of other software is answered. */
function spokenLines({ port }: SocketAddress, policy: Policy): readonly string[] {
  const spoken = spokenOf(policy, port);
  if (spoken === null) return [];
  const names = spoken.value.join(", ");
  return [`  clients that are no proxies of ours may choose ${names} by ALPN (${spoken.origin})`];
}

function withPeer(
  lines: readonly string[],
  { peer }: ConnectionQuestion,
  demands: Expectation,
): Explanation {
  if (peer === null) return { lines, refused: false };
  // Whether a certificate names an address, an ID does not say.
  const refusal = authorize(
    identityOf(peer),
    demands.filter(({ kind }) => kind !== "address"),
  );
  const verdict = refusal === null ? "accepted" : `refused (${refusal.reason})`;
  return { lines: [...lines, `  ${peer}: ${verdict}`], refused: refusal !== null };
}

/** Why the kernel hands a destination to nobody, or null. */
function leftAlone(address: SocketAddress, { outbound }: Policy, fixed: Fixed): string | null {
  const place = placeOf(address);
  if (isLoopback(address)) return "loopback never leaves this machine";
  if (fixed.excludedDestinations.some((one) => isSameSocket(one, address)))
    return "it is the API server (--api-server, KUBERNETES_SERVICE_HOST or the service account)";
  if (outbound.resolvers.some((one) => isSameSocket(one, address)))
    return `it is TCP port 53 of a name server of ours (resolv.conf, dnsTcp: leave, ${outbound.dnsTcp.origin})`;
  const excluded = outbound.exclude.value.find((range) => contains(range, ...place));
  if (excluded !== undefined) return `${excluded.text} is excluded (${outbound.exclude.origin})`;
  if (holdsPort(outbound.excludePorts.value, address.port))
    return `port ${address.port} is excluded (${outbound.excludePorts.origin})`;
  if (outbound.ports.value !== "all" && !holdsPort(outbound.ports.value, address.port))
    return `port ${address.port} is not one of ${outbound.ports.value.map(formatPorts).join(", ")} (${outbound.ports.origin})`;
  if (neverIntercepted.some((range) => contains(range, ...place)))
    return "link-local and multicast addresses are nobody's to carry";
  if (outbound.mesh.value.some((range) => contains(range, ...place))) return null;
  return `it is in no range of the mesh (${outbound.mesh.origin})`;
}

/** What the node's own addresses get besides, at this port. */
function probeLines(probes: Probes, { port, family }: SocketAddress): readonly string[] {
  const declared = probes.declared.filter((probe) => probe.port === port);
  const from = probes.sources.filter((range) => range.family === family);
  if (declared.length === 0 || from.length === 0) return [];
  const { open, connect, both } = probePorts(probes);
  const connects = connect.includes(port);
  const how = open.includes(port)
    ? "everything in cleartext"
    : connects && !both.includes(port)
      ? "connections that carry nothing, and no others"
      : `in cleartext ${connects ? "connections that carry nothing, and " : ""}what is a declared probe`;
  const whence = from.map(({ text }) => text).join(", ");
  const texts = declared.map(({ text }) => text).join(", ");
  return [
    `  from ${whence} (--probe-source): ${how} (--probe ${texts}, --probe-mode ${probes.mode})`,
  ];
}

function ofOwners({ onlyUids, excludedUids, onlyGids, excludedGids }: Fixed): string {
  const only = [
    ...(onlyUids === "all" ? [] : [`users ${onlyUids.join(", ")} only (--only-uid)`]),
    ...(onlyGids === "all" ? [] : [`groups ${onlyGids.join(", ")} only (--only-gid)`]),
  ];
  const excluded = [
    ...(excludedUids.length === 0 ? [] : [`users ${excludedUids.join(", ")} (--exclude-uid)`]),
    ...(excludedGids.length === 0 ? [] : [`groups ${excludedGids.join(", ")} (--exclude-gid)`]),
  ];
  const onlyText = only.length === 0 ? "" : `, for ${only.join(" or ")}`;
  return excluded.length === 0 ? onlyText : `${onlyText}, but not for ${excluded.join(" and ")}`;
}

function demandText(demand: Demand): string {
  switch (demand.kind) {
    case "address":
      return `has to name ${formatIp(demand.address.bytes)} in its certificate (verify: ip)`;
    case "workload":
      return `has to be a workload of the trust domain ${demand.trustDomain}`;
    case "listed": {
      const who = demand.allow.map(({ text }) => text).join(" or ");
      return `has to be ${who === "" ? "nobody at all" : who} (${demand.origin})`;
    }
  }
}

/** Routes of an interface: intercept/kernel/devices.ts. */
const deviceLine =
  "  the same for a socket bound to an interface (SO_BINDTODEVICE), if the interface was up when the proxy started";

const modeTexts: Readonly<Record<Mode, string>> = {
  strict: "mutual TLS; plain text is refused",
  audit: "mutual TLS; plain text as well, and the log says from whom",
  permissive: "mutual TLS; plain text as well",
  passthrough: "in cleartext, as without the proxy",
};

const sourceTexts: Readonly<Record<SourceMode, string>> = {
  "ip-port": "the client's address and port where the kernel allows it",
  ip: "the client's address",
  off: "this pod's own address",
};

function identityOf(spiffeId: SpiffeId): PeerIdentity {
  return {
    spiffeId,
    spiffeFault: null,
    ips: [],
    otherNames: [],
    commonName: "",
    fingerprint: "",
    notAfter: Infinity,
  };
}

function placeOf({ bytes, family }: SocketAddress): [bigint, 4 | 6] {
  return [addressOf(bytes), family];
}
