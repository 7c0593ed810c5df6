/** Tests the kernel's features in a namespace of its own, which is removed afterwards. */
import { readSync } from "node:fs";

import { ProxyError } from "../../runtime/errors.ts";
import { tableBatch } from "../../intercept/kernel/encode.ts";
import { planOf, priorities } from "../../intercept/rules/plan.ts";
import type { Plan, Rule } from "../../intercept/rules/rule.ts";
import { defaultFixed, defaultMark, defaultPolicy } from "../../config.ts";
import { interceptionOf } from "../../intercept/rules/interception.ts";
import { SystemCallError } from "../../native/errno.ts";
import * as namespaces from "../namespaces.ts";
import * as native from "../../native/native.ts";
import { capability, confine } from "../../native/privileges.ts";
import { monitorRules } from "../../netlink/monitor.ts";
import * as route from "../../netlink/route.ts";
import { protocol, kernel } from "../../netlink/socket.ts";
import { bad, good, parseLines, warning, type Finding } from "./finding.ts";
import type { FindingId } from "./titles.ts";

/** Starts `command` (this program, which then calls `tryKernel`) in new namespaces, and reads its findings. */
export function findKernel(command: readonly string[]): readonly Finding[] {
  const { reader, writer } = namespaces.openPipe();
  try {
    const status = runIn(command, writer);
    if (status === 0) return parseLines(readAll(reader));
    return [untried(`the trial ended with status ${status}`)];
  } catch (error) {
    if (error instanceof SystemCallError) return [untried(error.message)];
    throw error;
  } finally {
    native.close(reader);
  }
}

/** Returns the exit status. Afterwards no writer is left, so that reading ends. */
function runIn(command: readonly string[], output: number): number {
  try {
    const { user, network } = namespaces.newNamespace;
    const options = { flags: user | network, output, arguments: command, environment: {} };
    return namespaces.wait(namespaces.enter(options));
  } finally {
    native.close(output);
  }
}

/** Runs in its own namespaces: tries each part of the rules separately, then the whole. */
export function tryKernel(): readonly Finding[] {
  return trials.map(({ id, act, remedy, optional }) => {
    try {
      act();
      return good(id);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      const find = optional === undefined ? bad : warning;
      const what = optional === undefined ? remedy : `${remedy} Without it: ${optional}.`;
      return find(id, error.message, what);
    }
  });
}

type Trial = {
  readonly id: FindingId;
  readonly act: () => void;
  readonly remedy: string;
  /** What works less well without it. */
  readonly optional?: string;
};

/** A table with only this rule. */
function tryRule(
  hook: "output" | "prerouting",
  rule: Rule,
  type: "filter" | "nat" | "route" = hook === "output" ? "route" : "filter",
): () => void {
  return () => {
    tryTable({
      ...planOf(interceptionOf(defaultPolicy, defaultFixed)),
      chains: [{ name: hook, base: { type, hook, priority: priorities.mangle }, rules: [rule] }],
    });
  };
}

function tryTable(plan: Plan): void {
  using socket = kernel(protocol.netfilter);
  socket.send(tableBatch(plan, new Map()));
}

function tryRouting(of: 4 | 6): () => void {
  return () => {
    const { mark, routing } = planOf(interceptionOf(defaultPolicy, defaultFixed));
    using socket = kernel(protocol.route);
    socket.send([route.setUp(1)]);
    socket.send([route.addRoutingRule({ family: of, ...mark, ...routing })]);
    socket.send([route.addLocalDefault(of, routing.table)]);
  };
}

function trySocket(of: 4 | 6): () => void {
  return () => {
    const socketFamily = of === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
    const fd = native.openStream(socketFamily);
    try {
      native.setTransparent(fd, socketFamily);
      native.setMark(fd, 1);
    } finally {
      native.close(fd);
    }
  };
}

const tcp = { kind: "tcp", is: true } as const;
const accept = { kind: "verdict", verdict: "accept" } as const;

/**
 * Each part, with the Linux version in which it appeared:
 *
 * - nftables in the family inet, with sets and their intervals: below 4.10. A range outside of sets, and lookups that
 *   are inverted: 4.9 and earlier.
 * - fib: 4.10 (f6d0cbcf09c5); whether there is a route at all, and the same for IPv6 extension headers: 4.12
 *   (055c4b34b94f, c078ca3b0c5b).
 * - socket: 4.18 (554ced0a6e29); its mark, and tproxy: 4.19 (4ed8eb6570a4).
 * - Chains of the types route and nat in the family inet: 5.2 (c1deb065cf3b, d164385ec572).
 * - Deleting elements of a set in a rule: 5.4 (d0a8d877da97). Nothing works without it, so 5.4 is what we ask for.
 * - Rejecting in prerouting: 5.9 (f53b9b0bdc59).
 * - SO_MARK with CAP_NET_RAW: 5.17 (079925cce1d0).
 * - Notices about rules, and routing by mark: before all of these. The comment of a table (5.10) is ignored before.
 */
const trials: readonly Trial[] = [
  {
    id: "kernel-nftables",
    act: () => {
      tryTable({ ...planOf(interceptionOf(defaultPolicy, defaultFixed)), chains: [] });
    },
    remedy: "modprobe nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET).",
  },
  {
    id: "kernel-tproxy-ipv4",
    act: tryRule("prerouting", [tcp, { kind: "tproxy", family: 4, port: 1 }, accept]),
    remedy: "modprobe nft_tproxy (CONFIG_NFT_TPROXY).",
  },
  {
    id: "kernel-tproxy-ipv6",
    act: tryRule("prerouting", [tcp, { kind: "tproxy", family: 6, port: 1 }, accept]),
    remedy: "modprobe nft_tproxy nf_tproxy_ipv6 (CONFIG_NF_TPROXY_IPV6).",
  },
  {
    id: "kernel-fib",
    act: tryRule("prerouting", [{ kind: "not-local-destination" }, accept]),
    remedy: "modprobe nft_fib_inet (CONFIG_NFT_FIB_INET).",
  },
  {
    id: "kernel-route-chain",
    act: tryRule("output", [tcp, { kind: "set-fwmark", value: defaultMark.value }]),
    remedy: "Use Linux 5.4 or later with CONFIG_NF_TABLES_IPV4 and CONFIG_NF_TABLES_IPV6.",
  },
  {
    id: "kernel-dynamic-sets",
    act: tryRule("output", [
      { kind: "opening" },
      { kind: "forget", answers: false, set: "open-before4" },
    ]),
    remedy: "Use Linux 5.4 or later.",
  },
  {
    id: "kernel-conntrack",
    act: tryRule("output", [
      { kind: "reply", is: true },
      { kind: "assured" },
      { kind: "new" },
      accept,
    ]),
    remedy: "modprobe nft_ct (CONFIG_NFT_CT).",
    optional: "no --inbound-port, --exclude-inbound-port, --only-uid, --exclude-uid, --probe",
  },
  {
    id: "kernel-nat",
    act: tryRule("prerouting", [tcp, { kind: "keep-destination", family: 4 }], "nat"),
    remedy: "modprobe nft_chain_nat nft_nat (CONFIG_NFT_NAT).",
    optional: "no --inbound-port, --exclude-inbound-port, --only-uid, --exclude-uid, --probe",
  },
  {
    id: "kernel-socket-match",
    act: tryRule("prerouting", [tcp, { kind: "whole-socket" }, accept]),
    remedy: "modprobe nft_socket (CONFIG_NFT_SOCKET).",
  },
  {
    id: "kernel-reject",
    act: tryRule("prerouting", [tcp, { kind: "reset" }]),
    remedy: "Use Linux 5.9 or later, and modprobe nft_reject_inet.",
    optional: "when the proxy has ended, connections are dropped instead of reset",
  },
  {
    id: "kernel-routing-ipv4",
    act: tryRouting(4),
    remedy: "Use a kernel with CONFIG_IP_MULTIPLE_TABLES.",
  },
  {
    id: "kernel-routing-ipv6",
    act: tryRouting(6),
    remedy: "Use a kernel with CONFIG_IPV6_MULTIPLE_TABLES.",
    optional: "IPv6 is not diverted, which is safe only if there is no IPv6",
  },
  {
    id: "kernel-transparent-ipv4",
    act: trySocket(4),
    remedy: "Use a kernel with CONFIG_NETFILTER.",
  },
  {
    id: "kernel-transparent-ipv6",
    act: trySocket(6),
    remedy: "Use a kernel with CONFIG_IPV6.",
    optional: "IPv6 is not diverted, which is safe only if there is no IPv6",
  },
  {
    id: "kernel-rules",
    act: () => {
      tryTable(planOf(interceptionOf(defaultPolicy, defaultFixed)));
    },
    remedy: "Use Linux 5.4 or later with all of nftables (CONFIG_NF_TABLES, CONFIG_NFT_…).",
  },
  {
    id: "kernel-rule-events",
    act: () => {
      monitorRules(() => undefined).stop();
    },
    remedy: "Use a kernel with CONFIG_NF_TABLES.",
  },
  {
    // The last one, because it drops what the others need.
    id: "kernel-net-raw",
    act: () => {
      confine([capability.netRaw]);
      trySocket(4)();
    },
    remedy: "Use Linux 5.17 or later, or --privileges kept.",
  },
];

function untried(why: string): Finding {
  return warning(
    "kernel-trial",
    why,
    "Not allowed here (user.max_user_namespaces, seccomp, AppArmor): tls-tproxy rules --apply finds out as well.",
  );
}

/** The child has ended; only the data in the pipe is left to read. */
function readAll(fd: number): string {
  const buffer = Buffer.alloc(65_536);
  return buffer.toString("utf8", 0, readSync(fd, buffer));
}
