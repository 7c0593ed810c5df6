/** Makes trial connections, which show whether diverted packets arrive, and logs what they show. */
import type { Fixed } from "../intercept/rules/interception.ts";
import type { Installed } from "../intercept/kernel/install.ts";
import { tryAndVeil, tryDiversion } from "../intercept/trial/diversion.ts";
import { legacyTables } from "../intercept/trial/legacy-tables.ts";
import { diversionLines } from "../intercept/trial/report.ts";
import { trialTargets } from "../intercept/trial/targets.ts";
import { knownAddresses, whyNotTried } from "../intercept/trial/trial.ts";
import { SystemCallError } from "../native/errno.ts";
import type { InForce } from "../reload/in-force.ts";
import type { Log } from "../runtime/log/log.ts";

/** The policy in force, and the log. */
export type Reporting = { readonly inForce: InForce; readonly log: Log };

/** Called once the rules are in place and the sockets listen, and again after each rewrite of the rules. */
export function reportDiversion(rules: Installed, fixed: Fixed, { inForce, log }: Reporting): void {
  const why = whyNotTried(fixed);
  if (why !== null) {
    log.write("I", "rules", `no trial connections: ${why}`);
    return;
  }
  try {
    const targets = trialTargets(inForce.applied.policy, fixed, knownAddresses());
    const diversion = rules.isOurs ? tryAndVeil(targets, fixed.mark) : tryDiversion(targets, 0);
    for (const { severity, text } of diversionLines(diversion, legacyTables()))
      log.write(severity, "rules", text);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log.write("W", "rules", `trial connections could not be made: ${error.message}`);
  }
}
