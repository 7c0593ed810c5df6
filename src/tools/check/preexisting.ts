/** Current cleartext connections that the rules would refuse if they began later. */
import type { Fixed } from "../../intercept/rules/interception.ts";
import { refusedInCleartext } from "../../intercept/cleartext/refused.ts";
import { theirSockets } from "../../intercept/cleartext/reset.ts";
import { listeningPorts, type Tuple } from "../../intercept/kernel/proc-tcp.ts";
import { listeningProcess } from "../../intercept/kernel/running.ts";
import { counted, listed } from "../../intercept/cleartext/report.ts";
import { ephemeralPorts } from "../../net/ports.ts";
import type { Policy } from "../../policy/policy.ts";
import { good, warning, type Finding } from "./finding.ts";

/** `mode`: what a start with these options does with them. A running proxy has already decided. */
export function findPreexisting(
  policy: Policy,
  fixed: Fixed,
  mode: "leave" | "reset",
): readonly Finding[] {
  const pid = listeningProcess(fixed.tcpPort)?.pid ?? null;
  const sockets = socketsBeside(pid);
  if (sockets === null) {
    const remedy = "Run check as root to have them listed.";
    return [warning(id, `the sockets of process ${pid} may not be listed`, remedy)];
  }
  const ends = { listening: listeningPorts(), ephemeral: ephemeralPorts() };
  const refused = refusedInCleartext(policy, fixed, ends);
  // A connection that no process has accepted may be on its way to the running proxy.
  const isTheirs = ({ inode }: Tuple): boolean => pid === null || inode !== "0";
  const found = sockets.filter((one) => isTheirs(one) && refused(one) !== null);
  if (found.length === 0) return [good(id, "none")];
  const text = `${counted(found)}: ${listed(found, refused)}`;
  return [warning(id, text, pid === null ? remedies[mode] : restart)];
}

/** Null if the proxy's own connections cannot be distinguished from others. */
function socketsBeside(pid: number | null): readonly Tuple[] | null {
  try {
    return theirSockets(pid ?? "self");
  } catch (error) {
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
}

const id = "cleartext-connections";
const restart = "They stay in cleartext until they end: restart their applications.";
const remedies = {
  leave:
    "They stay in cleartext until they end: restart their applications after the proxy's start, or use --preexisting reset.",
  reset:
    "They are reset when the proxy starts: start the applications after the proxy, or use --preexisting leave.",
};
