/** What the process that restores the rules reports, as the log tells it. */
import type { RepairEvents } from "./link.ts";
import type { RuleRepair } from "./repair.ts";
import type { Log } from "../../runtime/log/log.ts";
import { errnoName } from "../../native/errno.ts";

/** `keeper` is asked for when something is reported: it is made later. */
export function repairEvents(log: Log, keeper: () => RuleRepair): RepairEvents {
  return {
    restored: ({ kept }) => {
      keeper().restored(kept);
    },
    failed: (errno) => {
      log.write("E", "rules", `the rules cannot be restored: ${errnoName(errno)}`);
    },
    launcherGone: () => {
      log.write("W", "rules", launcherGone);
    },
    gone: () => {
      log.write("W", "rules", repairProcessGone);
    },
  };
}

const launcherGone =
  "the launcher of the repair process has ended: policies that change the rules are refused until the proxy is restarted";
export const repairProcessGone =
  "the repair process has ended: rules that other processes change are not restored until the proxy is restarted";
