/** What a policy may not do on a machine that people are logged in to. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { modeOf, type Policy } from "./policy.ts";

export type LockoutGuard = {
  /** An option says whose outbound connections are diverted, which is a scope as well. */
  readonly scopedByUser: boolean;
  /** Ports that people are logged in by. */
  readonly keepOpen: readonly number[];
  /** At the start there is a way back where one of these is taken: --confirm. */
  readonly onTrial: boolean;
};

/** Throws USAGE where everybody would be locked out; `guard` null: in a pod there is nobody. */
export function assertScoped({ inbound, outbound }: Policy, guard: LockoutGuard | null): void {
  if (guard === null) return;
  const outward = outbound.mesh.origin !== "default" || guard.scopedByUser;
  if (!outward || inbound.mode.origin === "default") throw new ProxyError("USAGE", noScope);
}

/**
 * Throws USAGE where the way in that an operator stands on would be taken without a way back. `before`: the policy that
 * holds, null at the start; what that has taken already is nobody's way in any more.
 */
export function assertReachable(
  policy: Policy,
  guard: LockoutGuard | null,
  before: Policy | null,
): void {
  if (guard === null || (before === null && guard.onTrial)) return;
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
