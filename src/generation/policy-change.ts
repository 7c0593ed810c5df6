/** From one policy to another while connections live: nothing passes in clear meanwhile, and what may not stay goes. */
import type { Ledger } from "../accounting/ledger.ts";
import type { ConnectionRecord } from "../accounting/record.ts";
import type { Fixed } from "../config.ts";
import { Deadline } from "../deadline.ts";
import type { Installed } from "../intercept/install.ts";
import { queueLength } from "../intercept/running.ts";
import type { RuleWatch } from "../intercept/watch.ts";
import { authorize } from "../policy/authorize.ts";
import { interceptionOf } from "../policy/interception.ts";
import type { Policy } from "../policy/policy.ts";
import type { Rules } from "../policy/rules.ts";
import type { Generation } from "./generation.ts";

export type Changing = {
  readonly generation: Generation;
  readonly ledger: Ledger;
  readonly installed: Installed;
  readonly watch: RuleWatch;
  readonly fixed: Fixed;
};

/**
 * Makes `policy` the one that holds; returns how many connections it has ended. Throws ProxyError; then the old one
 * holds.
 */
export async function changePolicy(policy: Policy, changing: Changing): Promise<number> {
  const { generation, ledger, installed, watch, fixed } = changing;
  const rules = generation.rulesOf(policy);
  const before = generation.rules.policy;
  const outward = !Bun.deepEquals(before.outbound, policy.outbound);
  let ended = outward ? await letGo(rules, changing) : 0;
  try {
    installed.change(interceptionOf(policy, fixed));
  } catch (error) {
    if (outward) installed.change(interceptionOf(before, fixed));
    throw error;
  } finally {
    watch.rewritten(installed.plan());
  }
  generation.takeRules(rules);
  ended += ledger.terminateWhere("REVOKED", (record) => !isAllowed(record, rules));
  return ended;
}

/**
 * A connection that is diverted and would not be any more has to be gone before the rules change: what its application
 * says next would leave in clear, in the middle of the stream. So no new one begins meanwhile, and those that the
 * kernel has accepted are taken in first.
 */
async function letGo(rules: Rules, { ledger, installed, fixed }: Changing): Promise<number> {
  installed.hold();
  for (let look = 0; look < looksMax; look += 1) {
    // oxlint-disable-next-line no-await-in-loop -- a look after the other
    await pause(lookMs);
    if (look > 0 && queueLength(fixed.tcpPort) === 0) break;
  }
  return ledger.terminateWhere(
    "REVOKED",
    ({ direction, original }) => direction === "outbound" && !rules.diverts(original),
  );
}

/** Whether a live connection could be made under these rules. One whose peer is not known yet will be judged by them. */
function isAllowed(record: ConnectionRecord, rules: Rules): boolean {
  const { direction, identity, original, plain } = record;
  if (direction === "outbound")
    return identity === null || authorize(identity, rules.server(original)) === null;
  if (plain !== null) return rules.mode(original.port) !== "strict";
  return identity === null || authorize(identity, rules.client(original.port)) === null;
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

const lookMs = 10;
const looksMax = 50;
