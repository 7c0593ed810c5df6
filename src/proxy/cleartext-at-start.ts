/** Handles preexisting cleartext connections, and tests whether diverted ones arrive. */

import type { Config } from "../config.ts";
import type { Fixed } from "../intercept/rules/interception.ts";
import type { InForce } from "../reload/in-force.ts";
import { refusedInCleartext } from "../intercept/cleartext/refused.ts";
import { tryAndVeil, tryDiversion } from "../intercept/trial/diversion.ts";
import { type Installed } from "../intercept/kernel/install.ts";
import { legacyTables } from "../intercept/trial/legacy-tables.ts";
import { listeningPorts, type Tuple } from "../intercept/kernel/proc-tcp.ts";
import { leaveOrReset } from "../intercept/cleartext/preexisting.ts";
import { knownAddresses, whyNotTried } from "../intercept/trial/trial.ts";
import { trialTargets } from "../intercept/trial/targets.ts";
import { diversionLines } from "../intercept/trial/report.ts";
import { reportPreexisting } from "../intercept/cleartext/report.ts";
import type { Log } from "../runtime/log/log.ts";
import { SystemCallError } from "../native/errno.ts";
import { ephemeralPorts } from "../net/ports.ts";

/** The policy in force, and the log. */
export type Reporting = { readonly inForce: InForce; readonly log: Log };

/**
 * Called right after the rules were applied: leaves or resets preexisting cleartext connections, makes trial
 * connections, and logs both. Returns the connections left in cleartext. Throws START_FAILED.
 */
export function handleCleartext(
  rules: Installed,
  { fixed, preexisting }: Config,
  { inForce, log }: Reporting,
): readonly Tuple[] {
  const ends = { listening: listeningPorts(), ephemeral: ephemeralPorts() };
  const refused = refusedInCleartext(inForce.applied.policy, fixed, ends);
  const found = leaveOrReset(rules, { mode: preexisting, refused });
  reportPreexisting(found, refused, (text, count) => {
    log.write("W", "proxy", text, { preexisting: count });
  });
  reportDiversion(rules, fixed, { inForce, log });
  return found.left;
}

/**
 * Makes trial connections, once the rules are in place and the sockets listen; again after each rewrite of the rules.
 */
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
