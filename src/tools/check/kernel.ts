/** What the kernel can do, by trying it: in a namespace of its own, which is gone afterwards. */
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
import { monitorRules } from "../../netlink/monitor.ts";
import * as route from "../../netlink/route.ts";
import { protocol, kernel } from "../../netlink/socket.ts";
import { bad, good, parseLines, warning, type Finding } from "./finding.ts";

/** Starts `command` (this program, told to call `tryKernel`) in new namespaces and reads what it found. */
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

/** Its exit status. Afterwards nobody writes any more, so that reading comes to an end. */
function runIn(command: readonly string[], output: number): number {
  try {
    const { user, network } = namespaces.newNamespace;
    const options = { flags: user | network, output, arguments: command, environment: {} };
    return namespaces.wait(namespaces.enter(options));
  } finally {
    native.close(output);
  }
}

/** In namespaces of its own: every part of the rules by itself, then the whole. */
export function tryKernel(): readonly Finding[] {
  return trials.map(({ title, act, remedy, optional }) => {
    try {
      act();
      return good(title);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      const find = optional === undefined ? bad : warning;
      const what = optional === undefined ? remedy : `${remedy} Without it: ${optional}.`;
      return find(title, error.message, what);
    }
  });
}

type Trial = {
  readonly title: string;
  readonly act: () => void;
  readonly remedy: string;
  /** What goes without it. */
  readonly optional?: string;
};

/** The table with one rule and nothing else. */
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

const trials: readonly Trial[] = [
  {
    title: "nftables",
    act: () => {
      tryTable({ ...planOf(interceptionOf(defaultPolicy, defaultFixed)), chains: [] });
    },
    remedy: "modprobe nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET).",
  },
  {
    title: "TPROXY for IPv4",
    act: tryRule("prerouting", [tcp, { kind: "tproxy", family: 4, port: 1 }, accept]),
    remedy: "modprobe nft_tproxy (CONFIG_NFT_TPROXY).",
  },
  {
    title: "TPROXY for IPv6",
    act: tryRule("prerouting", [tcp, { kind: "tproxy", family: 6, port: 1 }, accept]),
    remedy: "modprobe nft_tproxy nf_tproxy_ipv6 (CONFIG_NF_TPROXY_IPV6).",
  },
  {
    title: "look-up of local addresses in rules",
    act: tryRule("prerouting", [{ kind: "not-local-destination" }, accept]),
    remedy: "modprobe nft_fib_inet (CONFIG_NFT_FIB_INET).",
  },
  {
    title: "marks that change the route",
    act: tryRule("output", [tcp, { kind: "set-fwmark", value: defaultMark.value }]),
    remedy: "modprobe nft_chain_route_ipv4 (CONFIG_NF_TABLES_IPV4).",
  },
  {
    title: "sets that packets change",
    act: tryRule("output", [
      { kind: "opening" },
      { kind: "forget", answers: false, set: "open-before4" },
    ]),
    remedy: "A kernel of 4.10 or later.",
  },
  {
    title: "connection tracking in rules",
    act: tryRule("output", [{ kind: "reply" }, accept]),
    remedy: "modprobe nft_ct (CONFIG_NFT_CT).",
    optional: "no --inbound-port, --exclude-inbound-port, --only-uid, --exclude-uid, --probe",
  },
  {
    title: "translation of addresses in rules",
    act: tryRule("prerouting", [tcp, { kind: "keep-destination", family: 4 }], "nat"),
    remedy: "modprobe nft_chain_nat nft_nat (CONFIG_NFT_NAT).",
    optional: "no --inbound-port, --exclude-inbound-port, --only-uid, --exclude-uid, --probe",
  },
  {
    title: "sockets in rules",
    act: tryRule("prerouting", [tcp, { kind: "whole-socket" }, accept]),
    remedy: "modprobe nft_socket (CONFIG_NFT_SOCKET).",
  },
  {
    title: "resets by rules",
    act: tryRule("prerouting", [tcp, { kind: "reset" }]),
    remedy: "modprobe nft_reject_inet, a kernel of 5.9 or later.",
    optional: "after the proxy's end connections are dropped where they would be reset",
  },
  {
    title: "routing by mark, IPv4",
    act: tryRouting(4),
    remedy: "A kernel with CONFIG_IP_MULTIPLE_TABLES.",
  },
  {
    title: "routing by mark, IPv6",
    act: tryRouting(6),
    remedy: "A kernel with CONFIG_IPV6_MULTIPLE_TABLES.",
    optional: "no IPv6 is diverted, which is right only where there is none",
  },
  {
    title: "transparent and marked sockets, IPv4",
    act: trySocket(4),
    remedy: "A kernel of 2.6.28 or later with CONFIG_NETFILTER.",
  },
  {
    title: "transparent and marked sockets, IPv6",
    act: trySocket(6),
    remedy: "A kernel with CONFIG_IPV6.",
    optional: "no IPv6 is diverted, which is right only where there is none",
  },
  {
    title: "notices of changed rules",
    act: () => {
      monitorRules(() => undefined).stop();
    },
    remedy: "A kernel with CONFIG_NF_TABLES.",
  },
];

function untried(why: string): Finding {
  return warning(
    "trial in a namespace of its own",
    why,
    "Not allowed here (user.max_user_namespaces, seccomp, AppArmor): tls-tproxy rules --apply tells as much.",
  );
}

/** The child has ended and its end of the pipe is all that is left to read. */
function readAll(fd: number): string {
  const buffer = Buffer.alloc(65_536);
  return buffer.toString("utf8", 0, readSync(fd, buffer));
}
