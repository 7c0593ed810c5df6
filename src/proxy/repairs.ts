/** The reaction when another process changes the rules: they are rewritten, and nothing continues in cleartext. */
import { reportDiversion, type Reporting } from "./trial-report.ts";
import { type Restorer, type StandingRules } from "./standing-rules.ts";

import type { ConnectionRegistry } from "../connection/registry.ts";
import { Metrics } from "../connection/metrics.ts";
import { type Fixed } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { isDiverted } from "../intercept/cleartext/becomes-diverted.ts";
import { resetCleartext } from "../intercept/cleartext/reset.ts";
import type { Connections } from "../intercept/kernel/encode.ts";
import type { Installed } from "../intercept/kernel/install.ts";
import { dialledKeys } from "../intercept/kernel/open-before.ts";
import { RuleRepair } from "../intercept/repair/repair.ts";
import { listeningPorts, type Tuple } from "../intercept/kernel/proc-tcp.ts";
import { repairEvents } from "../intercept/repair/events.ts";
import type { Log } from "../runtime/log/log.ts";

export type RepairParts = Reporting & {
  readonly metrics: Metrics;
  readonly registry: ConnectionRegistry;
  readonly fixed: Fixed;
};

/** Watches the rules from now on, right after they were written. Throws SystemCallError. */
export function repairRules(
  { rules, view, restorer }: StandingRules,
  { log, metrics, registry, inForce, fixed }: RepairParts,
): RuleRepair {
  /** The connections that must not be in cleartext. */
  const diverted = (kept: Connections): ((tuple: Tuple) => boolean) =>
    isDiverted(inForce.applied, fixed, listeningPorts(), dialledKeys(kept));
  const repair = new RuleRepair(rules, view, {
    changed: (watch) => {
      // Applications' answers to clients would leave in cleartext.
      const ended = registry.terminateWhere(
        "RULES_CHANGED",
        ({ as }) => as !== null && !watch.returnsToProxy(as.family),
      );
      const too =
        ended === 0 ? "" : `; ${ended} inbound connections that depend on them were reset`;
      log.write("W", "rules", rulesChanged + too + (rules.isOurs ? "" : `: ${restart}`));
    },
    repaired: (kept) => {
      const { ended, refusal } = resetCleartext(() => diverted(kept), kept, {
        kernel: rules.sockets,
      });
      const text = "the rules were restored: another program had changed them";
      const too =
        ended === 0 ? "" : `, and ${ended} connections that had started in cleartext were reset`;
      log.write("I", "rules", text + too, { reset_clear: ended });
      if (refusal !== null)
        log.write(
          "W",
          "rules",
          `connections that started in cleartext cannot be reset: ${refusal}`,
        );
      // The other process may also have changed other rules, or removed the table that veils from them.
      reportDiversion(rules, fixed, { inForce, log });
    },
    failed: (reason) => {
      log.write("E", "rules", `the rules cannot be restored: ${reason}`);
    },
    leftOut: (devices) => {
      log.write("W", "rules", `sockets bound to ${devices} (SO_BINDTODEVICE) ${notCarried}`);
    },
  });
  const help = "times that the rules were restored because another program had changed them";
  metrics.total("tproxy_rules_repairs_total", help, () => repair.repairs);
  if (restorer !== null) listenTo(restorer, repair, { log, metrics });
  return repair;
}

function listenTo(
  { link, view }: Restorer,
  repair: RuleRepair,
  { log, metrics }: Pick<RepairParts, "log" | "metrics">,
): void {
  const help = "1 while the repair process lives";
  metrics.gauge("tproxy_repair_process_alive", help, () => Number(link.alive));
  link.listen(repairEvents(log, repair, view));
}

/** A kernel that cannot send resets keeps dropping: equally safe, but clients notice it later. */
export function closeRules(rules: Installed, log: Log): void {
  try {
    rules.close();
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    log.write(
      "W",
      "rules",
      `what is diverted is dropped, not reset, from now on: ${error.message}`,
    );
  }
}

export const rulesChanged =
  "the rules are no longer as they were written (nft list table inet tls-tproxy; ip rule)";
const notCarried =
  "cannot connect to the mesh: the interface came up after the proxy had dropped its privileges. Restart the proxy";
export const restart = "restart the proxy, which restores them";
