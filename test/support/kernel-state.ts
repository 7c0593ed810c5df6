/** Everything that rules could change in a pod, printed by programs of other projects. */
import { executable, type Output, type Pod } from "./pods.ts";

/** Ruleset, rules, routes and addresses as one text, for comparison byte by byte. */
export async function kernelState(pod: Pod): Promise<string> {
  const shown: string[] = [];
  for (const command of commands) {
    const { code, stdout, stderr } = await pod.run(command);
    if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
    // The kernel adds a link-local address a moment after the link is up.
    shown.push(`# ${command.join(" ")}\n${stdout.replaceAll(/^.*fe80:.*\n/gm, "")}`);
  }
  return withoutClients(shown.join("\n"));
}

/** Removes the clients that applications have seen and the ports in use: packets add these to sets. */
export function withoutClients(ruleset: string): string {
  return ruleset.replaceAll(
    /(\tset (?:seen-clients[46]|served-ports|dialled[46]) \{[^}]*?)\n\t\telements = \{[^}]*\}/g,
    "$1",
  );
}

/** `tls-tproxy rules …` in the pod; throws if it fails. */
export async function rules(pod: Pod, ...options: readonly string[]): Promise<Output> {
  const output = await pod.run([...executable(), "rules", ...options]);
  if (output.code !== 0) throw new Error(`rules ${options.join(" ")}: ${output.stderr}`);
  return output;
}

/** A table, rule, route and address of others, which our rules must not touch. */
export async function makeForeign(pod: Pod): Promise<void> {
  const table =
    "table inet foreign { set s { type ipv4_addr; elements = { 192.0.2.1 } }; chain c { type filter hook output priority 0; ip daddr @s drop; }; }";
  const script = [
    `nft '${table}'`,
    "ip rule add fwmark 0x1/0x1 lookup 77 priority 99",
    "ip -6 rule add fwmark 0x1/0x1 lookup 77 priority 99",
    "ip route add local default dev lo table 77",
    "ip -6 route add local default dev lo table 77",
    "ip addr add 192.0.2.9/32 dev lo",
  ];
  const { code, stderr } = await pod.run(["sh", "-e"], script.join("\n"));
  if (code !== 0) throw new Error(stderr);
}

const commands = [
  ["nft", "list", "ruleset"],
  ["ip", "rule"],
  ["ip", "-6", "rule"],
  ["ip", "route", "show", "table", "all"],
  ["ip", "-6", "route", "show", "table", "all"],
  ["ip", "addr"],
];
