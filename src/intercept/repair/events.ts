/** Logs the reports of the repair process. */
import type { RepairEvents } from "./link.ts";
import type { RuleRepair } from "./repair.ts";
import type { RepairView } from "./repaired-rules.ts";
import type { Log } from "../../runtime/log/log.ts";
import { errnoName } from "../../native/errno.ts";

/** Passes the reports on to `view` and `repair`. */
export function repairEvents(log: Log, repair: RuleRepair, view: RepairView): RepairEvents {
  return {
    restored: ({ kept }) => {
      view.takes("restored");
      repair.restored(kept);
    },
    failed: (errno) => {
      view.takes("failed");
      log.write("E", "rules", `the rules cannot be restored: ${errnoName(errno)}`);
    },
    launcherGone: () => {
      log.write("W", "rules", launcherGone);
    },
    gone: () => {
      view.takes("gone");
      log.write("W", "rules", repairProcessGone);
    },
  };
}

const launcherGone =
  "the launcher of the repair process has ended: policies that change the rules are refused until the proxy is restarted";
export const repairProcessGone =
  "the repair process has ended: rules that other processes change are not restored until the proxy is restarted";
