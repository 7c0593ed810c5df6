/** Cleartext connections that are open when the proxy starts: left or reset, and logged. */
import type { Config } from "../config.ts";
import { leaveOrReset } from "../intercept/cleartext/preexisting.ts";
import { refusedInCleartext } from "../intercept/cleartext/refused.ts";
import { reportPreexisting } from "../intercept/cleartext/report.ts";
import type { Installed } from "../intercept/kernel/install.ts";
import { listeningPorts, type Tuple } from "../intercept/kernel/proc-tcp.ts";
import { ephemeralPorts } from "../net/ports.ts";
import { reportDiversion, type Reporting } from "./trial-report.ts";

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
