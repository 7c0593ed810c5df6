/**
 * Finds the rule that drops a trial connection: the kernel traces its packets, and names the rule of each verdict.
 */
import { ProxyError } from "../../runtime/errors.ts";
import * as native from "../../native/native.ts";
import { netlinkFamily, openNotices, receiveNetlink } from "../../native/netlink.ts";
import { SystemCallError } from "../../native/errno.ts";
import type { SocketAddress } from "../../net/address.ts";
import { listAllRules, readForeignRule, type ForeignRule } from "../../netlink/foreign-rules.ts";
import * as vm from "../../netlink/expressions.ts";
import * as nftables from "../../netlink/nftables.ts";
import { readVerdicts, type TraceVerdict } from "../../netlink/trace.ts";
import { protocol, isErrno, kernel, type Request } from "../../netlink/socket.ts";
import { be16 } from "../../netlink/wire.ts";
import { replaced, traceTable } from "../kernel/veil.ts";

/** A verdict with its rule described as far as possible; "" for a policy. */
export type Drop = TraceVerdict & { readonly text: string };

/** The first drop while `act` runs; null if no nftables rule drops. Throws SystemCallError. */
export function traceDrop(address: SocketAddress, act: () => void): Drop | null {
  const notices = openNotices(netlinkFamily.netfilter, [traceGroup]);
  try {
    send(traceBatch(address));
    try {
      act();
    } finally {
      removeTrace();
    }
    const verdict = readAll(notices).find(({ isDrop }) => isDrop);
    return verdict === undefined ? null : { ...verdict, text: textOf(verdict) };
  } finally {
    native.close(notices);
  }
}

/** All rules here except ours. Empty if the kernel does not list them. */
export function foreignRules(): readonly ForeignRule[] {
  try {
    using socket = kernel(protocol.netfilter);
    return socket
      .exchange([listAllRules()])
      .map(({ payload }) => readForeignRule(payload))
      .filter((rule) => rule !== null)
      .filter(({ table }) => !table.startsWith("inet tls-tproxy"));
  } catch (error) {
    if (error instanceof ProxyError) return [];
    throw error;
  }
}

function textOf({ table, chain, handle }: TraceVerdict): string {
  const rule = foreignRules().find(
    (one) => one.table === table && one.chain === chain && one.handle === handle,
  );
  return rule?.text ?? "";
}

/** Also removes what a killed process has left. */
export function removeTrace(): void {
  try {
    send(nftables.batch([nftables.deleteTable(traceTable)]));
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EPERM")) throw error;
  }
}

/** Before all other chains, so that these are traced too. Both directions, at both hooks where a packet may begin. */
function traceBatch(address: SocketAddress): readonly Request[] {
  return nftables.batch([
    ...replaced(traceTable),
    ...(["output", "prerouting"] as const).flatMap((hook) => [
      nftables.addChain(traceTable, {
        name: hook,
        base: { type: "filter", hook, priority: firstPriority },
      }),
      nftables.addRule(traceTable, hook, traced(address, "to")),
      nftables.addRule(traceTable, hook, traced(address, "from")),
    ]),
  ]);
}

function traced(
  { family: of, bytes, port }: SocketAddress,
  way: "to" | "from",
): readonly vm.Expression[] {
  const offset = of === 4 ? { from: 12, to: 16 } : { from: 8, to: 24 };
  return [
    vm.meta(vm.metaKey.nfproto),
    vm.cmp(vm.compare.equal, Uint8Array.of(of === 4 ? 2 : 10)),
    vm.meta(vm.metaKey.l4proto),
    vm.cmp(vm.compare.equal, Uint8Array.of(protocolTcp)),
    vm.payload(vm.base.network, offset[way], bytes.length),
    vm.cmp(vm.compare.equal, bytes),
    vm.payload(vm.base.transport, way === "to" ? 2 : 0, 2),
    vm.cmp(vm.compare.equal, be16(port)),
    vm.load(Uint8Array.of(1)),
    vm.setMeta(vm.metaKey.nftrace),
  ];
}

function send(requests: readonly Request[]): void {
  using socket = kernel(protocol.netfilter);
  socket.send(requests);
}

/** Reads the pending notices: the kernel has queued them while it acted. */
function readAll(notices: number): readonly TraceVerdict[] {
  const buffer = new Uint8Array(1 << 16);
  const verdicts: TraceVerdict[] = [];
  for (;;) {
    try {
      const length = receiveNetlink(notices, buffer);
      if (length === null) return verdicts;
      verdicts.push(...readVerdicts(buffer.slice(0, length)));
    } catch (error) {
      // ENOBUFS: some were lost.
      if (!(error instanceof SystemCallError)) throw error;
      if (!isErrno(error, "ENOBUFS")) return verdicts;
    }
  }
}

/** NFNLGRP_NFTRACE: linux/netfilter/nfnetlink.h. */
const traceGroup = 9;
const firstPriority = -500;
const protocolTcp = 6;
