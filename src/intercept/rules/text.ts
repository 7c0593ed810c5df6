/** The plan as nft(8) text and ip(8) commands: applying them has the same effect. Pure. */
import { aliasTexts } from "../../net/alias.ts";
import { formatIp } from "../../net/address.ts";
import { deviceMetric } from "../../netlink/route.ts";
import { bytesOf, type Interval } from "../../net/cidr.ts";
import { formatPorts } from "../../net/ports.ts";
import { priorities } from "./plan.ts";
import {
  otherWay,
  setOf,
  type ChainPlan,
  type Field,
  type Plan,
  type Rule,
  type SetPlan,
  type Step,
  type TrackedStep,
} from "./rule.ts";
import { isOfRanges, openBeforeSizeMin, portsMax, seenClientsMax } from "./sets.ts";

/** The comment on what the rules do not touch. */
export const otherTransports = "UDP, ICMP, SCTP, DCCP, UDP-Lite and all other IP protocols";

/** Commands for sh: `ip` for the route to `lo`, `nft -f` for the table. */
export function planText(plan: Plan): string {
  return [
    `# TCP alone is diverted. Left alone, in cleartext: ${otherTransports}.`,
    "# Marked packets are led to lo, where the rules below hand them to the proxy.",
    ...ipCommands(plan),
    "# Sockets that are bound to an interface look for a route by that one.",
    ...deviceCommands(plan),
    "",
    "nft -f - <<'END'",
    `table inet ${plan.table}`,
    `delete table inet ${plan.table}`,
    `table inet ${plan.table} {`,
    `  comment "${plan.comment}"`,
    ...plan.sets.flatMap(setText),
    ...plan.chains.flatMap((chain) => chainText(chain, plan)),
    "}",
    "END",
    "",
  ].join("\n");
}

/** The routes by mark, and an address for each family. */
export function ipCommands(plan: Plan): readonly string[] {
  const { table, priority } = plan.routing;
  const mark = `${hex(plan.mark.value)}/${hex(plan.mark.mask)}`;
  return ([4, 6] as const).flatMap((of) => [
    aliasCommands[of],
    `ip -${of} rule add fwmark ${mark} iif lo lookup ${table} priority ${priority}`,
    `ip -${of} route add local default dev lo table ${table}`,
  ]);
}

/** A route for each interface with an address. */
export function deviceCommands(plan: Plan): readonly string[] {
  return ([4, 6] as const).map((of) => deviceCommand(of, plan));
}

function deviceCommand(of: 4 | 6, { routing: { table } }: Plan): string {
  const add = `ip -${of} route add local default dev "$dev" table ${table} metric $((${deviceMetric} + \${index%:}))`;
  return (
    `ip -${of} -o addr show scope global | while read -r index dev _; do ` +
    `[ "$dev" = lo ] || ${add} 2>/dev/null; done`
  );
}

function setText(set: SetPlan): readonly string[] {
  return [`  set ${set.name} {`, ...setBody(set), "  }"];
}

/** The lines between the braces. */
export function setBody(set: SetPlan): readonly string[] {
  const types = set.fields.map((field) => typeOf(field, set.family)).join(" . ");
  const elements = elementsText(set);
  return [
    `    type ${types}`,
    ...(isOfRanges(set) ? ["    flags interval"] : []),
    ...sizeText(set),
    ...(elements.length === 0 ? [] : [`    elements = { ${elements.join(", ")} }`]),
  ];
}

/** For sets that packets change. */
function sizeText({ elements: { kind } }: SetPlan): readonly string[] {
  if (kind !== "connections" && kind !== "clients" && kind !== "learned") return [];
  const sizes = { connections: openBeforeSizeMin, clients: seenClientsMax, learned: portsMax };
  return [`    size ${sizes[kind]}`, "    flags dynamic"];
}

function elementsText(set: SetPlan): readonly string[] {
  switch (set.elements.kind) {
    case "intervals":
      return set.elements.intervals.map((interval) => intervalText(interval, set.family));
    case "ports":
      return set.elements.ports.map(formatPorts);
    case "numbers":
      return set.elements.numbers.map(String);
    case "destinations":
      return set.elements.destinations.map(({ bytes, port }) => `${formatIp(bytes)} . ${port}`);
    case "learned":
      return set.elements.always.map(String);
    case "connections":
    case "clients":
      return [];
  }
}

/** A range that is a prefix is written as a prefix. */
function intervalText({ first, last }: Interval, family: 4 | 6): string {
  const address = formatIp(bytesOf(first, family));
  if (first === last) return address;
  const size = last - first + 1n;
  const bits = size.toString(2).length - 1;
  const isPrefix = size === 1n << BigInt(bits) && first % size === 0n;
  if (isPrefix) return `${address}/${(family === 4 ? 32 : 128) - bits}`;
  return `${address}-${formatIp(bytesOf(last, family))}`;
}

function chainText(chain: ChainPlan, plan: Plan): readonly string[] {
  const head = chainHead(chain);
  return [
    `  chain ${chain.name} {`,
    ...(head === "" ? [] : [`    ${head}`]),
    ...chain.rules.map((rule) => `    ${ruleText(rule, plan)}`),
    "  }",
  ];
}

/** The hook of the chain; "" for one that is reached by jumps. */
export function chainHead({ base }: ChainPlan): string {
  if (base === null) return "";
  const { type, hook, priority } = base;
  return `type ${type} hook ${hook} priority ${priorityText(priority)}; policy accept;`;
}

function priorityText(priority: number): string {
  return priority === priorities.mangle ? "mangle" : String(priority);
}

export function ruleText(rule: Rule, plan: Plan): string {
  return rule.map((step) => stepText(step, plan)).join(" ");
}

function trackedText(step: TrackedStep): string {
  switch (step.kind) {
    case "reply":
      return `ct direction ${step.is ? "reply" : "original"}`;
    case "assured":
      return "ct status assured";
    case "new":
      return "ct state new";
    case "untracked":
      return "ct state invalid,untracked";
    case "translated":
      return "ct status dnat";
  }
}

function stepText(step: Step, plan: Plan): string {
  const mask = hex(plan.mark.mask);
  switch (step.kind) {
    case "fwmark":
      return `meta mark & ${mask} == ${hex(step.equals)}`;
    case "loopback":
      return `${step.way} ${step.is ? "" : "!= "}"lo"`;
    case "tcp":
      return `meta l4proto ${step.is ? "" : "!= "}tcp`;
    case "alias":
      return `${fieldText(step.way, step.family)} ${aliasTexts[step.family]}`;
    case "opening":
      return `tcp flags & (syn | ack) ${step.is === false ? "!=" : "=="} syn`;
    case "answering":
      return "tcp flags & (syn | ack) == syn | ack";
    case "in-set":
    case "not-emptied":
      return lookupText(step, plan);
    case "not-local-destination":
      return "fib daddr type != local";
    case "not-local-source":
      return "fib saddr type != local";
    case "same-link":
      return "fib daddr . iif oif exists";
    case "reply":
    case "assured":
    case "new":
    case "untracked":
    case "translated":
      return trackedText(step);
    case "keep-destination":
      return step.family === 4 ? "dnat ip to ip daddr" : "dnat ip6 to ip6 daddr";
    case "connection-mark":
      return `ct mark & ${mask} ${step.is ? "==" : "!="} ${hex(step.equals)}`;
    case "forget":
    case "remember":
      return `${step.kind === "forget" ? "delete" : "add"} @${step.set} { ${keyText(setOf(plan, step.set), step.answers)} }`;
    case "set-fwmark":
    case "set-connection-mark":
      return setMarkText(step.kind === "set-fwmark" ? "meta mark" : "ct mark", step.value, plan);
    case "tproxy":
      return `tproxy ${step.family === 4 ? "ip" : "ip6"} to ${step.family === 4 ? "127.0.0.1" : "[::1]"}:${step.port}`;
    case "resetting":
      return "tcp flags & rst == rst";
    case "no-data":
    case "steered":
    case "outside":
      return headersText(step);
    case "socket":
    case "whole-socket":
    case "socket-mark":
      return socketText(step, plan.mark);
    case "reset":
      return "reject with tcp reset";
    case "verdict":
      return step.verdict;
    case "goto":
      return `goto ${step.chain}`;
  }
}

function lookupText(step: Step & { readonly kind: "in-set" | "not-emptied" }, plan: Plan): string {
  if (step.kind === "not-emptied") return `tcp sport & 0 @${step.set}`;
  return `${keyText(setOf(plan, step.set), step.answers)} ${step.is ? "" : "!= "}@${step.set}`;
}

function setMarkText(which: string, value: number, { mark }: Plan): string {
  return `${which} set ${which} & ${hex(~mark.mask >>> 0)} | ${hex(value)}`;
}

function socketText(
  step: Step & { readonly kind: "socket" | "whole-socket" | "socket-mark" },
  { value, mask }: Plan["mark"],
): string {
  if (step.kind === "socket") return "socket transparent <= 1";
  const { equals, is } = step.kind === "socket-mark" ? step : { equals: value, is: false };
  return `socket mark & ${hex(mask)} ${is ? "==" : "!="} ${hex(equals)}`;
}

function headersText(step: Step & { readonly kind: "no-data" | "steered" | "outside" }): string {
  if (step.kind === "outside") return outsideText(step.family, step.intervals);
  if (step.kind === "steered")
    return step.family === 4 ? "ip hdrlength != 5 @nh,160,8 != 134" : "exthdr rt exists";
  const { words, family } = step;
  return `tcp doff ${words} ${family === 4 ? `ip length ${20 + 4 * words}` : `ip6 length ${4 * words}`}`;
}

function outsideText(family: 4 | 6, intervals: readonly Interval[]): string {
  if (intervals.length === 0) return `meta nfproto ipv${family}`;
  return intervals
    .map(({ first, last }) => {
      const [from, to] = [first, last].map((one) => formatIp(bytesOf(one, family)));
      return `${fieldText("daddr", family)} != ${from}${first === last ? "" : `-${to}`}`;
    })
    .join(" ");
}

function keyText(set: SetPlan, answers = false): string {
  return set.fields
    .map((field) => fieldText(answers ? otherWay[field] : field, set.family))
    .join(" . ");
}

function fieldText(field: Field, family: 4 | 6): string {
  switch (field) {
    case "saddr":
    case "daddr":
      return `${family === 4 ? "ip" : "ip6"} ${field}`;
    case "sport":
    case "dport":
      return `tcp ${field}`;
    case "uid":
      return "meta skuid";
    case "gid":
      return "meta skgid";
  }
}

function typeOf(field: Field, family: 4 | 6): string {
  if (field === "saddr" || field === "daddr") return family === 4 ? "ipv4_addr" : "ipv6_addr";
  return field === "uid" || field === "gid" ? field : "inet_service";
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

/** Applications must not choose them as source addresses: scope host, or deprecated. */
const aliasCommands = {
  4: `ip -4 addr add ${aliasTexts[4]}/32 dev lo scope host`,
  6: `ip -6 addr add ${aliasTexts[6]}/128 dev lo preferred_lft 0`,
} as const;
