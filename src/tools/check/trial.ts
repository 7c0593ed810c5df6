/**
 * Trial connections by `check`, with or without a running proxy: a rule, a route and a table that match only these
 * connections, while they last. First removes what a killed check left behind.
 */
import { defaultLimits } from "../../config.ts";
import { type Mark, ownMark } from "../../intercept/rules/marks.ts";
import type { Fixed } from "../../intercept/rules/interception.ts";
import { tryDiversion } from "../../intercept/trial/diversion.ts";
import { legacyTables } from "../../intercept/trial/legacy-tables.ts";
import { removeTrace } from "../../intercept/trial/trace.ts";
import { knownAddresses } from "../../intercept/trial/trial.ts";
import { trialTargets, type Target } from "../../intercept/trial/targets.ts";
import { replaced } from "../../intercept/kernel/veil.ts";
import { failureText } from "../../intercept/trial/report.ts";
import { SystemCallError } from "../../native/errno.ts";
import * as native from "../../native/native.ts";
import { decodeSocketAddress, parseSocketAddress } from "../../net/address.ts";
import { openDiverted } from "../../net/listener.ts";
import { socketOptionsOf } from "../../net/socket-options.ts";
import * as vm from "../../netlink/expressions.ts";
import * as nftables from "../../netlink/nftables.ts";
import * as route from "../../netlink/route.ts";
import { protocol, isErrno, kernel, type Request } from "../../netlink/socket.ts";
import { u32 } from "../../netlink/wire.ts";
import type { Policy } from "../../policy/policy.ts";
import { good, warning, type Finding } from "./finding.ts";

const id = "trial-connections";

/** Plain check reports this instead. */
export const notTried = good(
  id,
  "not made, because they change something: --trial adds a rule and a route for a moment",
);

/** One finding for all ranges that work, and one for each that does not. */
export function findTrial(policy: Policy, fixed: Fixed): readonly Finding[] {
  try {
    removeTrial();
    using undo = new DisposableStack();
    undo.defer(removeTrial);
    prepare(fixed.mark, undo);
    const targets = trialTargets(policy, fixed, knownAddresses());
    const { works, failed, unrouted } = tryDiversion(targets, trialMark(fixed.mark));
    const text =
      works.length === 0 ? "none was answered" : `${rangesOf(works)}: diverted and answered`;
    const untried = `${rangesOf(unrouted)}: not tried, because there is no route`;
    return [
      ...(works.length === 0 && failed.length > 0 ? [] : [good(id, `${text}. ${inbound}`)]),
      ...(unrouted.length === 0 ? [] : [good(id, untried)]),
      ...failed.map((failure) => warning(id, failureText(failure, legacyTables()), remedy)),
    ];
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return [warning(id, error.message, "They need CAP_NET_ADMIN: run as root.")];
  }
}

function rangesOf(targets: readonly Target[]): string {
  return targets.map(({ range }) => range.text).join(", ");
}

function prepare(mark: Mark, undo: DisposableStack): void {
  send([...replaced(table), chain]);
  const socketOptions = socketOptionsOf(defaultLimits, ownMark(mark));
  for (const of of [4, 6] as const) {
    const place = parseSocketAddress(hosts[of]);
    const fd = unless(() => openDiverted(place, { socketOptions, backlogMax }, "plain"), ...absent);
    if (fd === null) continue;
    undo.defer(() => {
      native.close(fd);
    });
    const rule = route.addRoutingRule(ruleOf(mark, of));
    const routed = unless(
      () => {
        for (const request of [rule, route.addLocalDefault(of, routingTable)]) ask(request);
        return true;
      },
      ...familyMissing,
    );
    if (routed === true)
      send([nftables.addRule(table, chainName, toListener(mark, of, portOf(fd)))]);
  }
}

/** The proxy's own rules follow, and exempt packets on lo without one of their marks. */
function toListener(mark: Mark, of: 4 | 6, port: number): readonly vm.Expression[] {
  return [
    vm.meta(vm.metaKey.iif),
    vm.cmp(vm.compare.equal, u32(route.loopbackIndex)),
    vm.meta(vm.metaKey.mark),
    vm.bitwise(u32(maskOf(mark)), u32(0)),
    vm.cmp(vm.compare.equal, u32(trialMark(mark))),
    vm.meta(vm.metaKey.nfproto),
    vm.cmp(vm.compare.equal, Uint8Array.of(of === 4 ? 2 : 10)),
    vm.meta(vm.metaKey.l4proto),
    vm.cmp(vm.compare.equal, Uint8Array.of(protocolTcp)),
    ...vm.tproxy(parseSocketAddress(hosts[of]).bytes, port),
    vm.setVerdict(vm.verdict.accept),
  ];
}

/** Removes as much of it as exists. Throws SystemCallError. */
function removeTrial(): void {
  removeTrace();
  unless(
    () => {
      send([nftables.deleteTable(table)]);
    },
    ...absent,
  );
  for (const of of [4, 6] as const) {
    for (const rule of trialRules(of)) unless(() => ask(route.deleteRoutingRule(rule)), ...absent);
    unless(() => ask(route.deleteLocalDefault(of, routingTable)), ...absent, ...familyMissing);
  }
}

/** Matches any mark, because an earlier check may have used another. */
function trialRules(of: 4 | 6): readonly route.MarkRule[] {
  const rules = unless(
    () => {
      using socket = kernel(protocol.route);
      return socket
        .exchange([route.listRoutingRules(of)])
        .map(({ payload }) => route.readMarkRule(payload));
    },
    ...familyMissing,
  );
  return (rules ?? [])
    .filter((rule) => rule !== null)
    .filter((rule) => rule.table === routingTable);
}

function send(requests: readonly Request[]): void {
  using socket = kernel(protocol.netfilter);
  socket.send(nftables.batch(requests));
}

function ask(request: Request): void {
  using socket = kernel(protocol.route);
  socket.send([request]);
}

/** Null if the kernel's error is one of these names; throws other errors. */
function unless<T>(act: () => T, ...names: readonly string[]): T | null {
  try {
    return act();
  } catch (error) {
    if (isErrno(error, ...names)) return null;
    throw error;
  }
}

function portOf(fd: number): number {
  const address = new Uint8Array(native.addressSize);
  native.readLocalAddress(fd, address);
  return decodeSocketAddress(address).port;
}

function ruleOf(mark: Mark, of: 4 | 6): route.MarkRule {
  return { family: of, value: trialMark(mark), mask: maskOf(mark), table: routingTable, priority };
}

/** Not one of the proxy's marks: its rules exempt what is already routed to lo and has none of them. */
function trialMark(mark: Mark): number {
  return bitBeside(mark);
}

function maskOf(mark: Mark): number {
  return (mark.mask | bitBeside(mark)) >>> 0;
}

/** A bit that the proxy's marks do not use, starting at the top, because others mostly use low bits. */
function bitBeside({ mask }: Mark): number {
  for (let bit = 28; bit >= 0; bit -= 1) if (((mask >>> bit) & 1) === 0) return (1 << bit) >>> 0;
  return 0;
}

const table = "tls-tproxy-trial";
const chainName = "prerouting";
/** Right before the proxy's chain. */
const chain = nftables.addChain(table, {
  name: chainName,
  base: { type: "filter", hook: "prerouting", priority: -151 },
});
/** Next to the proxy's: intercept/rules/plan.ts. */
const routingTable = 29_809;
const priority = 99;
const hosts = { 4: "127.0.0.1:0", 6: "[::1]:0" } as const;
const backlogMax = 64;
const protocolTcp = 6;
const absent = ["ENOENT", "ESRCH", "EADDRNOTAVAIL"] as const;
/** As in intercept/kernel/install.ts. */
const familyMissing = ["EAFNOSUPPORT", "EOPNOTSUPP", "EACCES"] as const;
const inbound = "What arrives from outside cannot be tried from here";
const remedy =
  "When the proxy starts, it gives such packets other addresses on lo and logs whether that helps. If not, let packets that arrive on lo pass before that rule.";
