/** The effective policy for programs, one item for each rule. Pure. */
import { formatPorts } from "../net/ports.ts";
import type { ExpectRule, Policy, PortRule, Sourced } from "./policy.ts";

/** Stable: the topic `json` lists them. */
export const policyItemIds = [
  "trust-domain",
  "verify",
  "inbound-mode",
  "inbound-allow",
  "inbound-preserve-source",
  "inbound-port",
  "outbound-mesh",
  "outbound-exclude",
  "outbound-ports",
  "outbound-exclude-ports",
  "outbound-dns-tcp",
  "outbound-expect",
] as const;

export type PolicyItem = {
  readonly id: (typeof policyItemIds)[number];
  /** As in a policy file: "inbound.ports.8080.allow". */
  readonly field: string;
  /** null: no rule sets it. */
  readonly value: unknown;
  /** "policy.yaml:12", an option, an environment variable, or "default". */
  readonly origin: string;
};

export function policyItems({
  trustDomain,
  verify,
  inbound,
  outbound,
}: Policy): readonly PolicyItem[] {
  const allow = inbound.allow.value?.map(({ text }) => text) ?? null;
  const ports = outbound.ports.value;
  return [
    { id: "trust-domain", field: "trustDomain", ...trustDomain },
    { id: "verify", field: "verify", ...verify },
    { id: "inbound-mode", field: "inbound.mode", ...inbound.mode },
    { id: "inbound-allow", field: "inbound.allow", value: allow, origin: inbound.allow.origin },
    { id: "inbound-preserve-source", field: "inbound.preserveSource", ...inbound.preserveSource },
    ...inbound.ports.flatMap(portItems),
    { id: "outbound-mesh", field: "outbound.mesh", ...textsOf(outbound.mesh) },
    { id: "outbound-exclude", field: "outbound.exclude", ...textsOf(outbound.exclude) },
    {
      id: "outbound-ports",
      field: "outbound.ports",
      value: ports === "all" ? ports : ports.map(formatPorts),
      origin: outbound.ports.origin,
    },
    {
      id: "outbound-exclude-ports",
      field: "outbound.excludePorts",
      value: outbound.excludePorts.value.map(formatPorts),
      origin: outbound.excludePorts.origin,
    },
    { id: "outbound-dns-tcp", field: "outbound.dnsTcp", ...outbound.dnsTcp },
    ...outbound.expect.map(expectItem),
  ];
}

function textsOf({
  value,
  origin,
}: Sourced<readonly { readonly text: string }[]>): Sourced<readonly string[]> {
  return { value: value.map(({ text }) => text), origin };
}

/** One for each field of a port's rule. */
function portItems({ ports, mode, allow, preserveSource, alpn }: PortRule): readonly PolicyItem[] {
  const fields = [
    ["mode", mode],
    [
      "allow",
      allow === null ? null : { ...allow, value: allow.value?.map(({ text }) => text) ?? null },
    ],
    ["preserveSource", preserveSource],
    ["alpn", alpn],
  ] as const;
  return fields.flatMap(([name, rule]): readonly PolicyItem[] =>
    rule === null
      ? []
      : [{ id: "inbound-port", field: `inbound.ports.${formatPorts(ports)}.${name}`, ...rule }],
  );
}

function expectItem({ to, allow, verify, alpn, origin }: ExpectRule, index: number): PolicyItem {
  const value = { to: to.text, allow: allow?.map(({ text }) => text) ?? null, verify, alpn };
  return { id: "outbound-expect", field: `outbound.expect[${index}]`, value, origin };
}
