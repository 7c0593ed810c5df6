/** The policy that holds: the options' values, and over them, field by field, those of the file. Pure. */
import type { PolicyDocument } from "./document.ts";
import type { Policy, PortRule, Sourced } from "./policy.ts";

/** `base` is what options, environment and defaults say; without a file it is the policy. */
export function effectivePolicy(base: Policy, document: PolicyDocument): Policy {
  const { inbound, outbound, ...top } = document.fields;
  const over = <T>(
    value: T | undefined,
    path: readonly string[],
    before: Sourced<T>,
  ): Sourced<T> => (value === undefined ? before : { value, origin: document.originOf(path) });
  return {
    trustDomain: over<string | null>(top.trustDomain, ["trustDomain"], base.trustDomain),
    verify: over(top.verify, ["verify"], base.verify),
    inbound: {
      mode: over(inbound?.mode, ["inbound", "mode"], base.inbound.mode),
      allow: over<Policy["inbound"]["allow"]["value"]>(
        inbound?.allow,
        ["inbound", "allow"],
        base.inbound.allow,
      ),
      preserveSource: over(
        inbound?.preserveSource,
        ["inbound", "preserveSource"],
        base.inbound.preserveSource,
      ),
      ports: portsOf(base, document),
    },
    outbound: {
      mesh: over<Policy["outbound"]["mesh"]["value"]>(
        outbound?.mesh,
        ["outbound", "mesh"],
        base.outbound.mesh,
      ),
      exclude: over<Policy["outbound"]["exclude"]["value"]>(
        outbound?.exclude,
        ["outbound", "exclude"],
        base.outbound.exclude,
      ),
      excludePorts: over<readonly number[]>(
        outbound?.excludePorts,
        ["outbound", "excludePorts"],
        base.outbound.excludePorts,
      ),
      expect: (outbound?.expect ?? []).map(({ to, allow, verify }, index) => ({
        to,
        allow: allow ?? null,
        verify: verify ?? null,
        origin: document.originOf(["outbound", "expect", index]),
      })),
    },
  };
}

/** A port in the file goes over the same port in the options, field by field. */
function portsOf(base: Policy, { fields, originOf }: PolicyDocument): readonly PortRule[] {
  const ports = new Map(base.inbound.ports.map((rule) => [rule.port, rule]));
  for (const [key, rule] of Object.entries(fields.inbound?.ports ?? {})) {
    const port = Number(key);
    const before = ports.get(port);
    const over = <K extends "mode" | "allow" | "preserveSource">(
      field: K,
      value: NonNullable<PortRule[K]>["value"] | undefined,
    ): Sourced<NonNullable<PortRule[K]>["value"]> | null =>
      value === undefined
        ? (before?.[field] ?? null)
        : { value, origin: originOf(["inbound", "ports", key, field]) };
    ports.set(port, {
      port,
      mode: over("mode", rule.mode),
      allow: over("allow", rule.allow),
      preserveSource: over("preserveSource", rule.preserveSource),
    });
  }
  return [...ports.values()].toSorted((a, b) => a.port - b.port);
}
