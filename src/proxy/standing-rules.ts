/** The rules at a start: its own, those applied by others, or those passed on by re-execution. */

import type { Config } from "../config.ts";
import type { Interception } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { type HandedState } from "./reexec.ts";
import { externalRules, externalView } from "../intercept/kernel/external.ts";
import { install, type Installed } from "../intercept/kernel/install.ts";
import { RepairLink } from "../intercept/repair/link.ts";
import { textOf } from "../intercept/repair/parts.ts";
import { repairedRules, RepairView } from "../intercept/repair/repaired-rules.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { hasRoutingOf } from "../intercept/kernel/snapshot.ts";
import { privilegedView, type KernelView } from "../intercept/kernel/watch.ts";
import { capability, hasCapability } from "../native/privileges.ts";

export type StandingRules = {
  readonly rules: Installed;
  readonly view: KernelView;
  /** The process that restores them instead of this one; null if this one may do so itself, or neither may. */
  readonly restorer: Restorer | null;
};

export type Restorer = { readonly link: RepairLink; readonly view: RepairView };

/** Throws START_FAILED; then rules are as they were found. */
export function standingRules(
  config: Config,
  interception: Interception,
  handed: HandedState | null,
): StandingRules {
  if (config.rules === "external") return standingExternalRules(interception);
  if (handed === null)
    return { rules: install(interception), view: privilegedView, restorer: null };
  if (hasCapability(capability.netAdmin))
    throw new ProxyError("START_FAILED", "--privileges dropped: CAP_NET_ADMIN is still there");
  if (handed.interception !== textOf(interception) || !hasRoutingOf(planOf(interception)))
    throw new ProxyError(
      "START_FAILED",
      "--privileges dropped: the rules have changed during the start. Start the proxy again",
    );
  return handedRules(interception, handed);
}

function handedRules(interception: Interception, { repair, notices }: HandedState): StandingRules {
  const link = new RepairLink(repair);
  const view = new RepairView(planOf(interception), notices, link);
  return { rules: repairedRules(interception, link), view, restorer: { link, view } };
}

function standingExternalRules(interception: Interception): StandingRules {
  const plan = planOf(interception);
  if (!hasRoutingOf(plan)) throw new ProxyError("START_FAILED", noRules);
  const rules = externalRules(interception, externalReason);
  return { rules, view: externalView(plan, {}), restorer: null };
}

const noRules =
  "--rules external: there are none in this network namespace. Put them in place first, with the same options: " +
  "tls-tproxy rules --apply, in an init container with NET_ADMIN";
const externalReason =
  "another process applies them (--rules external). Let it apply those of the new policy, and restart the proxy";
