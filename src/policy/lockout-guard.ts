/** What a policy may not do on a machine that people are logged in to. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { modeOf, type Policy } from "./policy.ts";

export type HostCare = {
  /** An option says whose outbound connections are diverted, which is a scope as well. */
  readonly scopedByUser: boolean;
  /** Ports that people are logged in by. */
  readonly keepOpen: readonly number[];
  /** At the start there is a way back where one of these is taken: --confirm. */
  readonly onTrial: boolean;
};

/** Throws USAGE where everybody would be locked out; `care` null: in a pod there is nobody. */
export function assertCareful({ inbound, outbound }: Policy, care: HostCare | null): void {
  if (care === null) return;
  const outward = outbound.mesh.origin !== "default" || care.scopedByUser;
  if (!outward || inbound.mode.origin === "default") throw new ProxyError("USAGE", noScope);
}

/**
 * Throws USAGE where the way in that an operator stands on would be taken without a way back. `before`: the policy that
 * holds, null at the start; what that has taken already is nobody's way in any more.
 */
export function assertReachable(
  policy: Policy,
  care: HostCare | null,
  before: Policy | null,
): void {
  if (care === null || (before === null && care.onTrial)) return;
  const port = care.keepOpen.find(
    (one) => !isOpen(policy, one) && (before === null || isOpen(before, one)),
  );
  if (port === undefined) return;
  const { origin } = modeOf(policy, port);
  const text =
    `${origin === "--inbound-port" ? `--inbound-port ${port}` : `port ${port} (${origin})`} would close ssh to ` +
    "everybody without a certificate of your authority. If you mean it, start with --confirm 60s: the rules go " +
    "again unless you say tls-tproxy confirm.";
  throw new ProxyError("USAGE", text);
}

function isOpen(policy: Policy, port: number): boolean {
  return modeOf(policy, port).value === "passthrough";
}

const noScope =
  "this is the host's own network namespace: capturing all private ranges and every inbound port would " +
  "lock everybody out of it. Say what to intercept: --mesh-cidr (or --only-uid) and --inbound-port (or none), " +
  "or outbound.mesh and inbound.mode in the policy.";
