/** Guards against policies that would lock out users of a machine. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { modeOf, type Policy } from "./policy.ts";

export type LockoutGuard = {
  /** An option selects whose outbound connections are diverted, which is a scope too. */
  readonly scopedByUser: boolean;
  /** Ports of current login sessions. */
  readonly keepOpen: readonly number[];
  /** At the start there is a way back if one of these is captured: --confirm. */
  readonly awaitsConfirmation: boolean;
};

/** Throws USAGE if every user would be locked out; `guard` is null in a pod, which has no logins. */
export function assertScoped({ inbound, outbound }: Policy, guard: LockoutGuard | null): void {
  if (guard === null) return;
  const outward = outbound.mesh.origin !== "default" || guard.scopedByUser;
  if (!outward || inbound.mode.origin === "default") throw new ProxyError("USAGE", noScope);
}

/**
 * Throws USAGE if the port of the operator's own login would be captured without a way back. `before`: the policy in
 * force, null at the start; a port that it captures already cannot be a way in.
 */
export function assertReachable(
  policy: Policy,
  guard: LockoutGuard | null,
  before: Policy | null,
): void {
  if (guard === null || (before === null && guard.awaitsConfirmation)) return;
  const port = guard.keepOpen.find(
    (one) => !isOpen(policy, one) && (before === null || isOpen(before, one)),
  );
  if (port === undefined) return;
  const { origin } = modeOf(policy, port);
  const text =
    `${origin === "--inbound-port" ? `--inbound-port ${port}` : `port ${port} (${origin})`} would close ssh to ` +
    "every client without a certificate of your CA. If you mean it, start with --confirm 60s: the rules are removed " +
    "again unless you say tls-tproxy confirm.";
  throw new ProxyError("USAGE", text);
}

function isOpen(policy: Policy, port: number): boolean {
  return modeOf(policy, port).value === "passthrough";
}

const noScope =
  "this is the host's own network namespace: capturing all private ranges and every inbound port would " +
  "lock everyone out of it. Say what to intercept: --mesh-cidr (or --only-uid) and --inbound-port (or none), " +
  "or outbound.mesh and inbound.mode in the policy.";
