/** Prints the policy in force in the format of a policy file, each rule with its origin. Pure. */
import { formatPorts, type Ports } from "../net/ports.ts";
import type { IdPattern } from "./id-pattern.ts";
import { resolversText } from "./resolvers.ts";
import type { ExpectRule, Policy, PortRule } from "./policy.ts";

/** YAML that is parsed to the same policy. */
export function printPolicy({ trustDomain, verify, inbound, outbound }: Policy): string {
  const lines: readonly (Line | null)[] = [
    trustDomain.value === null
      ? comment("trustDomain: our own certificate's", trustDomain.origin)
      : [`trustDomain: ${trustDomain.value}`, trustDomain.origin],
    verify.value === null
      ? comment("verify: spiffe if our certificate has a SPIFFE ID, else ip", verify.origin)
      : [`verify: ${verify.value}`, verify.origin],
    ["inbound:", ""],
    [`  mode: ${inbound.mode.value}`, inbound.mode.origin],
    inbound.allow.value === null
      ? comment("  allow: every verified peer", inbound.allow.origin)
      : [`  allow: ${ids(inbound.allow.value)}`, inbound.allow.origin],
    [`  preserveSource: ${inbound.preserveSource.value}`, inbound.preserveSource.origin],
    inbound.ports.length === 0 ? null : ["  ports:", ""],
    ...inbound.ports.flatMap(portLines),
    ["outbound:", ""],
    [`  mesh: ${list(outbound.mesh.value.map(({ text }) => text))}`, outbound.mesh.origin],
    [`  exclude: ${list(outbound.exclude.value.map(({ text }) => text))}`, outbound.exclude.origin],
    outbound.ports.value === "all"
      ? comment("  ports: all", outbound.ports.origin)
      : [`  ports: ${portList(outbound.ports.value)}`, outbound.ports.origin],
    [`  excludePorts: ${portList(outbound.excludePorts.value)}`, outbound.excludePorts.origin],
    [`  dnsTcp: ${outbound.dnsTcp.value}`, outbound.dnsTcp.origin],
    outbound.resolvers.length === 0
      ? null
      : comment(`  ${resolversText(outbound.resolvers, "resolv.conf")}`, ""),
    outbound.expect.length === 0 ? null : ["  expect:", ""],
    ...outbound.expect.map(expectLine),
  ];
  return lines.map((line) => (line === null ? "" : lineText(line))).join("");
}

type Line = readonly [text: string, origin: string];

function lineText([text, origin]: Line): string {
  return origin === "" ? `${text}\n` : `${text.padEnd(commentColumn)} # ${origin}\n`;
}

/** Unset values are printed as comments. */
function comment(text: string, origin: string): Line {
  return [text.replace(/\S/, "# $&"), origin];
}

function portList(ranges: readonly Ports[]): string {
  return `[${ranges.map(formatPorts).join(", ")}]`;
}

function portLines({ ports, mode, allow, preserveSource, alpn }: PortRule): readonly Line[] {
  const lines: Line[] = [];
  if (mode !== null) lines.push([`      mode: ${mode.value}`, mode.origin]);
  if (allow?.value != null) lines.push([`      allow: ${ids(allow.value)}`, allow.origin]);
  if (preserveSource !== null)
    lines.push([`      preserveSource: ${preserveSource.value}`, preserveSource.origin]);
  if (alpn !== null) lines.push([`      alpn: ${list(alpn.value)}`, alpn.origin]);
  return [[`    ${formatPorts(ports)}:${lines.length === 0 ? " {}" : ""}`, ""], ...lines];
}

function expectLine({ to, allow, verify, alpn, origin }: ExpectRule): Line {
  const fields = [
    `to: ${JSON.stringify(to.text)}`,
    ...(allow === null ? [] : [`allow: ${ids(allow)}`]),
    ...(verify === null ? [] : [`verify: ${verify}`]),
    ...(alpn === null ? [] : [`alpn: ${list(alpn)}`]),
  ];
  return [`    - { ${fields.join(", ")} }`, origin];
}

function ids(patterns: readonly IdPattern[]): string {
  return list(patterns.map(({ text }) => text));
}

/** Quoted, because a colon or an asterisk has a meaning in YAML. */
function list(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(", ")}]`;
}

const commentColumn = 60;
