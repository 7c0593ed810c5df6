/** Explains which rule decides on a connection, and its effect. Pure. */
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
import type { AppliedPolicy } from "../policy/applied-policy.ts";

/** Stable: the topic `json` lists them. */
export const explanationIds = [
  "mutual-tls",
  "mutual-tls-or-cleartext",
  "cleartext",
  "unreachable",
  "server",
  "client",
  "offered-protocols",
  "spoken-protocols",
  "bound-sockets",
  "probes",
  "source-address",
  "peer-accepted",
  "peer-refused",
] as const;

export type Line = { readonly id: (typeof explanationIds)[number]; readonly text: string };

export type Explanation = {
  readonly title: string;
  /** The first says what happens to the connection, the others explain why and how. */
  readonly lines: readonly Line[];
  /** The given peer would be refused. */
  readonly refused: boolean;
};

export type ConnectionQuestion = {
  readonly address: SocketAddress;
  /** The identity at the other end; null if none was given. */
  readonly peer: SpiffeId | null;
};

/** Explains a connection from here to an address. */
export function explainOutbound(
  question: ConnectionQuestion,
  applied: AppliedPolicy,
  fixed: Fixed,
): Explanation {
  const { address } = question;
  const title = `From here to ${formatSocketAddress(address)}:`;
  const alone = leftAlone(address, applied.policy, fixed);
  if (alone !== null) return verdict(title, "cleartext", `in cleartext: ${alone}`);
  const range = applied.policy.outbound.mesh.value.find((one) =>
    contains(one, ...placeOf(address)),
  );
  const { origin } = applied.policy.outbound.mesh;
  const lines: readonly Line[] = [
    {
      id: "mutual-tls",
      text: `mutual TLS, or reset: ${range?.text} is in the mesh (${origin})${ofOwners(fixed)}`,
    },
    ...applied
      .server(address)
      .map((demand): Line => ({ id: "server", text: `the server ${demandText(demand)}` })),
    ...offerLines(address, applied.policy),
    deviceLine,
  ];
  return withPeer({ title, lines }, question, applied.server(address));
}

/** Explains a connection from elsewhere to one of our ports. */
export function explainInbound(
  question: ConnectionQuestion,
  applied: AppliedPolicy,
  fixed: Fixed,
): Explanation {
  const { address } = question;
  const title = `From elsewhere to ${formatSocketAddress(address)} here:`;
  if (isLoopback(address))
    return verdict(
      title,
      "unreachable",
      "never: a loopback address cannot be reached from outside",
    );
  if (address.port === fixed.statusPort)
    return verdict(title, "cleartext", "in cleartext: it is the port of --status-address");
  const mode = modeOf(applied.policy, address.port);
  const first = {
    id: modeIds[mode.value],
    text: `${modeTexts[mode.value]} (${mode.value}, ${mode.origin})`,
  };
  if (mode.value === "passthrough") return { title, lines: [first], refused: false };
  const demands = applied.client(address.port);
  const lines = [
    first,
    ...probeLines(fixed.probes, address),
    ...clientLines(demands),
    ...spokenLines(address, applied.policy),
    sourceLine(address.port, mode.value, applied),
  ];
  return withPeer({ title, lines }, question, demands);
}

function verdict(title: string, id: Line["id"], text: string): Explanation {
  return { title, lines: [{ id, text }], refused: false };
}

function clientLines(demands: Expectation): readonly Line[] {
  const texts =
    demands.length === 0
      ? ["may have any certificate that chains to --ca-cert"]
      : demands.map(demandText);
  return texts.map((text) => ({ id: "client", text: `the client, with TLS, ${text}` }));
}

/** What the application sees of its client. */
function sourceLine(port: number, mode: Mode, applied: AppliedPolicy): Line {
  const source = sourceModeOf(applied.policy, port);
  const plain = applied.sourceMode(port, true);
  const takesPlain = mode === "permissive" || mode === "audit";
  const ofPlain =
    takesPlain && plain !== source.value ? `; in cleartext ${sourceTexts[plain]}` : "";
  return {
    id: "source-address",
    text: `the application sees ${sourceTexts[source.value]} (${source.value}, ${source.origin})${ofPlain}`,
  };
}

/** The protocols offered to a foreign server in addition. */
function offerLines(address: SocketAddress, policy: Policy): readonly Line[] {
  const rule = offerRuleOf(policy, ...placeOf(address));
  if (rule === null) return [];
  const text = `offered by ALPN after our own: ${(rule.alpn ?? []).join(", ")} (${rule.origin})`;
  return [{ id: "offered-protocols", text }];
}

/** The protocols accepted from a foreign client. */
function spokenLines({ port }: SocketAddress, policy: Policy): readonly Line[] {
  const spoken = spokenOf(policy, port);
  if (spoken === null) return [];
  const names = spoken.value.join(", ");
  const text = `clients without this proxy may choose ${names} by ALPN (${spoken.origin})`;
  return [{ id: "spoken-protocols", text }];
}

function withPeer(
  { title, lines }: Omit<Explanation, "refused">,
  { peer }: ConnectionQuestion,
  demands: Expectation,
): Explanation {
  if (peer === null) return { title, lines, refused: false };
  // The ID does not show whether a certificate names an address.
  const refusal = authorize(
    identityOf(peer),
    demands.filter(({ kind }) => kind !== "address"),
  );
  const last: Line =
    refusal === null
      ? { id: "peer-accepted", text: `${peer}: accepted` }
      : { id: "peer-refused", text: `${peer}: refused (${refusal.reason})` };
  return { title, lines: [...lines, last], refused: refusal !== null };
}

/** Why the kernel exempts a destination, or null. */
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
    return "link-local and multicast addresses are never diverted";
  if (outbound.mesh.value.some((range) => contains(range, ...place))) return null;
  return `it is in no range of the mesh (${outbound.mesh.origin})`;
}

/** The probes that the node's own addresses may make at this port. */
function probeLines(probes: Probes, { port, family }: SocketAddress): readonly Line[] {
  const declared = probes.declared.filter((probe) => probe.port === port);
  const from = probes.sources.filter((range) => range.family === family);
  if (declared.length === 0 || from.length === 0) return [];
  const { open, connect, both } = probePorts(probes);
  const connects = connect.includes(port);
  const how = open.includes(port)
    ? "everything in cleartext"
    : connects && !both.includes(port)
      ? "connections without data, and nothing else"
      : `declared probes in cleartext${connects ? ", and connections without data" : ""}`;
  const whence = from.map(({ text }) => text).join(", ");
  const texts = declared.map(({ text }) => text).join(", ");
  const text = `from ${whence} (--probe-source): ${how} (--probe ${texts}, --probe-mode ${probes.mode})`;
  return [{ id: "probes", text }];
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
      return `must name ${formatIp(demand.address.bytes)} in its certificate (verify: ip)`;
    case "workload":
      return `must be a workload of the trust domain ${demand.trustDomain}`;
    case "listed": {
      const who = demand.allow.map(({ text }) => text).join(" or ");
      return who === ""
        ? `is always refused: the list is empty (${demand.origin})`
        : `must be ${who} (${demand.origin})`;
    }
  }
}

/** Routes of an interface: intercept/kernel/devices.ts. */
const deviceLine: Line = {
  id: "bound-sockets",
  text: "the same for a socket bound to an interface (SO_BINDTODEVICE), if the interface was up when the proxy started",
};

const modeIds: Readonly<Record<Mode, Line["id"]>> = {
  strict: "mutual-tls",
  audit: "mutual-tls-or-cleartext",
  permissive: "mutual-tls-or-cleartext",
  passthrough: "cleartext",
};

const modeTexts: Readonly<Record<Mode, string>> = {
  strict: "mutual TLS; plain text is refused",
  audit: "mutual TLS, or plain text, which the log reports with its sender",
  permissive: "mutual TLS, or plain text",
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
