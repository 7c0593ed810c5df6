/** Which cleartext connections the current rules would refuse if they began now. Pure. */
import type { Fixed } from "../rules/interception.ts";
import type { Tuple } from "../kernel/proc-tcp.ts";
import type { RefusedDirection } from "./preexisting.ts";
import { isSameSocket } from "../../net/address.ts";
import { includesPort, type Ports } from "../../net/ports.ts";
import { isMeshDestination, modeOf, type Policy } from "../../policy/policy.ts";
import { probesOf } from "../../probe/probe.ts";
import { destinationOf, type Listening } from "./becomes-diverted.ts";

/** What shows which end has begun a connection. */
export type Ends = {
  readonly listening: Listening;
  /** Ports that connect(2) chooses from. */
  readonly ephemeral: Ports;
};

/**
 * A port with a listener is a server's. One without a listener outside the ephemeral range may be either: a server
 * that no longer listens, or a client that has chosen its port. Such a connection counts only if both would be
 * refused.
 */
export function refusedInCleartext(policy: Policy, fixed: Fixed, ends: Ends): RefusedDirection {
  return (tuple) => {
    const port = tuple.sourcePort;
    if (ends.listening.has(port)) return isRefusedInbound(policy, fixed, tuple) ? "inbound" : null;
    if (!isRefusedOutbound(policy, fixed, tuple)) return null;
    if (includesPort(ends.ephemeral, port)) return "outbound";
    return isRefusedInbound(policy, fixed, tuple) ? "inbound" : null;
  };
}

/** Passthrough, audit and permissive ports admit cleartext, and so do ports with declared probes from the node. */
function isRefusedInbound(policy: Policy, { statusPort, probes }: Fixed, tuple: Tuple): boolean {
  const port = tuple.sourcePort;
  if (port === statusPort || modeOf(policy, port).value !== "strict") return false;
  return probesOf(probes, destinationOf(tuple), port).length === 0;
}

function isRefusedOutbound(policy: Policy, fixed: Fixed, tuple: Tuple): boolean {
  if (!isOfScope(fixed, tuple)) return false;
  const { excludedDestinations } = fixed;
  const address = destinationOf(tuple);
  return (
    isMeshDestination(policy, address) &&
    !excludedDestinations.some((one) => isSameSocket(one, address))
  );
}

/** The kernel's list of sockets has users, not groups: if groups decide, undecidable connections are left. */
function isOfScope(
  { onlyUids, onlyGids, excludedUids, excludedGids }: Fixed,
  { uid }: Tuple,
): boolean {
  if (excludedGids.length > 0 || excludedUids.includes(uid)) return false;
  return onlyUids === "all" ? onlyGids === "all" : onlyUids.includes(uid);
}
