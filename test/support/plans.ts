/** The plans that are compared with nft's own bytes. */
import { closedOf, planOf } from "../../src/intercept/rules/plan.ts";
import type { Plan } from "../../src/intercept/rules/rule.ts";
import * as interceptions from "./interceptions.ts";

export const plans: Readonly<Record<string, Plan>> = {
  defaults: planOf(interceptions.defaults),
  everything: planOf(interceptions.everything),
  ranges: planOf(interceptions.ranged),
  closed: closedOf(interceptions.everything),
  "probes-bypass": planOf(interceptions.bypassed),
  "probes-inspect": planOf(interceptions.probed),
  "probes-closed": closedOf(interceptions.probed),
};
