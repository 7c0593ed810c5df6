/**
 * Changes the policy while connections live: nothing passes in cleartext meanwhile, and connections no longer allowed
 * are ended.
 */
import type { ConnectionRegistry } from "../connection/registry.ts";
import type { ConnectionRecord } from "../connection/record.ts";
import { type Fixed, type Interception, interceptionOf } from "../intercept/rules/interception.ts";
import { Deadline } from "../runtime/deadline.ts";
import { ProxyError } from "../runtime/errors.ts";
import { resetCleartext, type CleartextReset } from "../intercept/cleartext/reset.ts";
import type { Installed } from "../intercept/kernel/install.ts";
import type { Connections } from "../intercept/kernel/encode.ts";
import { dialledKeys } from "../intercept/kernel/open-before.ts";
import { listeningPorts, type Tuple } from "../intercept/kernel/proc-tcp.ts";
import { queueLength } from "../intercept/kernel/running.ts";
import type { RuleWatch } from "../intercept/kernel/watch.ts";
import { holdsPort } from "../net/ports.ts";
import { authorize } from "../policy/authorize.ts";
import { leavesMoreAlone, newlyClearPorts } from "./difference.ts";
import type { Policy } from "../policy/policy.ts";
import type { AppliedPolicy } from "../policy/applied-policy.ts";
import { becomesDiverted, isDiverted } from "../intercept/cleartext/becomes-diverted.ts";
import type { InForce, Renew } from "./in-force.ts";

/** What a change of the policy affects. */
export type PolicyReach = {
  readonly inForce: InForce;
  readonly registry: ConnectionRegistry;
  readonly installed: Installed;
  readonly watch: RuleWatch;
  readonly fixed: Fixed;
  readonly renew: Renew;
  /** Whether the proxy is shutting down: then its rules must not be changed any more. */
  readonly ending: () => boolean;
};

/** Ended connections: those that the proxy carried, and those in cleartext. */
export type Ended = { readonly carried: number; readonly clear: CleartextReset };

/** Puts `policy` in force. Throws ProxyError; then the old one stays in force. */
export async function changePolicy(policy: Policy, reach: PolicyReach): Promise<Ended> {
  // First, so that an invalid policy throws before anything is changed.
  reach.inForce.appliedOf(policy);
  try {
    return await change(policy, reach);
  } finally {
    reach.inForce.isChanging = false;
  }
}

async function change(policy: Policy, reach: PolicyReach): Promise<Ended> {
  const { inForce, registry, installed, watch, fixed, ending, renew } = reach;
  const before = interceptionOf(inForce.applied.policy, fixed);
  const after = interceptionOf(policy, fixed);
  if (!Bun.deepEquals(before, after)) {
    await installed.prepare(after);
    if (ending()) throw new ProxyError("POLICY_INVALID", "the proxy is ending");
  }
  const whole = installed.isOurs && !watch.looksIntact();
  let carried = 0;
  let clear = noneInClear;
  if (whole || !Bun.deepEquals(before, after)) {
    inForce.isChanging = true;
    if (leavesMoreAlone(before, after)) carried += await letGo(policy, reach);
    clear = changeRules({ before, after, whole }, inForce.appliedOf(policy), reach);
  }
  const applied = inForce.appliedOf(policy);
  inForce.takePolicy(applied);
  carried += registry.terminateWhere("REVOKED", (record) => !isAllowed(record, applied));
  inForce.endTickets(renew);
  return { carried, clear };
}

type Difference = {
  readonly before: Interception;
  readonly after: Interception;
  readonly whole: boolean;
};

/**
 * Changes the kernel rules. Before the change an RST still reaches the other end of a cleartext connection; what
 * begins between the two passes is ended after it. Throws ProxyError.
 */
function changeRules(
  difference: Difference,
  next: AppliedPolicy,
  reach: PolicyReach,
): CleartextReset {
  const { inForce, installed, fixed } = reach;
  // If the rules were damaged, any cleartext connection may have begun meanwhile.
  const fits = (known: Connections): ((tuple: Tuple) => boolean) =>
    difference.whole
      ? isDiverted(next, fixed, listeningPorts(), dialledKeys(known))
      : becomesDiverted(inForce.applied, next, fixed, listeningPorts());
  const { sockets: kernel } = installed;
  const before = installed.isOurs && !difference.whole;
  const first = before
    ? resetCleartext(() => fits(noConnections), noConnections, { kernel })
    : noneInClear;
  const kept = writeRules(difference, reach);
  const second = resetCleartext(() => fits(kept), kept, { kernel });
  return { ended: first.ended + second.ended, refusal: first.refusal ?? second.refusal };
}

/**
 * Returns the preexisting connections. Throws ProxyError; then the rules are the former ones, or the error says
 * otherwise.
 */
function writeRules(
  { before, after, whole }: Difference,
  { installed, watch }: PolicyReach,
): Connections {
  try {
    const kept = installed.change(after, whole);
    watch.rewritten(installed.plan());
    return kept;
  } catch (error) {
    if (installed.isOurs) restore(before, { installed, watch });
    throw error;
  }
}

function restore(
  before: Interception,
  { installed, watch }: Pick<PolicyReach, "installed" | "watch">,
): void {
  try {
    installed.change(before, true);
    watch.rewritten(installed.plan());
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    const text = `no new connection to the mesh begins, because the rules cannot be written: ${error.message}. Restart the proxy`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/**
 * A diverted connection that would no longer be diverted (including the application's to us, where it sees us as the
 * client) must end before the rules change: its application's next data would leave in cleartext, in the middle of
 * the stream. So no new connection begins meanwhile, and those that the kernel has accepted are taken in first.
 */
async function letGo(policy: Policy, reach: PolicyReach): Promise<number> {
  const { inForce, installed, fixed, ending } = reach;
  const before = interceptionOf(inForce.applied.policy, fixed);
  installed.holdNew();
  try {
    return await endDiverted(policy, before, reach);
  } catch (error) {
    if (!ending()) restore(before, reach);
    throw error;
  }
}

async function endDiverted(
  policy: Policy,
  before: Interception,
  reach: PolicyReach,
): Promise<number> {
  const { inForce, registry, installed, watch, fixed, ending } = reach;
  watch.rewritten(installed.plan());
  for (let look = 0; look < looksMax; look += 1) {
    // oxlint-disable-next-line no-await-in-loop -- a look after the other
    await pause(lookMs);
    if (look > 0 && queueLength(fixed.tcpPort) === 0) break;
  }
  if (ending()) throw new ProxyError("POLICY_INVALID", "the proxy is ending");
  const applied = inForce.appliedOf(policy);
  const ports = newlyClearPorts(before, interceptionOf(policy, fixed));
  return registry.terminateWhere("REVOKED", ({ direction, original, peer, as, atAlias }) => {
    if (direction === "outbound") return !applied.diverts(original) || holdsPort(ports, peer.port);
    return (
      as !== null && !atAlias && (!applied.returnsToProxy(as) || holdsPort(ports, original.port))
    );
  });
}

/** Whether this policy allows a live connection. It will judge one whose peer is not known yet. */
function isAllowed(record: ConnectionRecord, applied: AppliedPolicy): boolean {
  const { direction, identity, original, plain } = record;
  if (direction === "outbound")
    return identity === null || authorize(identity, applied.server(original)) === null;
  if (plain !== null) return applied.mode(original.port) !== "strict";
  return identity === null || authorize(identity, applied.client(original.port)) === null;
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

const noConnections: Connections = new Map();
const noneInClear: CleartextReset = { ended: 0, refusal: null };
const lookMs = 10;
const looksMax = 50;
