/** The effective policy: the options' values, overridden field by field by the file. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { parsePortRange, type Ports } from "../net/ports.ts";
import type { PolicyDocument } from "./document.ts";
import { layered } from "./port-rules.ts";
import type { ExpectRule, Policy, PortRule, Sourced } from "./policy.ts";

/** `base` has the values of options, environment and defaults; without a file it is the policy. */
export function effectivePolicy(base: Policy, document: PolicyDocument): Policy {
  const { inbound, outbound, ...top } = document.fields;
  const over = <T>(
    value: T | undefined,
    path: readonly string[],
    before: Sourced<T>,
  ): Sourced<T> => (value === undefined ? before : { value, origin: document.originOf(path) });
  const scope = scopeOf(base, document);
  return {
    trustDomain: over<string | null>(top.trustDomain, ["trustDomain"], base.trustDomain),
    verify: over(top.verify, ["verify"], base.verify),
    inbound: {
      mode:
        scope === null
          ? over(inbound?.mode, ["inbound", "mode"], base.inbound.mode)
          : base.inbound.mode,
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
      ports: portsOf(scope ?? base.inbound.ports, document),
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
      ports: over<Policy["outbound"]["ports"]["value"]>(
        outbound?.ports,
        ["outbound", "ports"],
        base.outbound.ports,
      ),
      excludePorts: over<readonly Ports[]>(
        outbound?.excludePorts,
        ["outbound", "excludePorts"],
        base.outbound.excludePorts,
      ),
      dnsTcp: over(outbound?.dnsTcp, ["outbound", "dnsTcp"], base.outbound.dnsTcp),
      resolvers: base.outbound.resolvers,
      expect: expectOf(document),
    },
  };
}

function expectOf({ fields, originOf }: PolicyDocument): readonly ExpectRule[] {
  return (fields.outbound?.expect ?? []).map(({ to, allow, verify, alpn }, index) => ({
    to,
    allow: allow ?? null,
    verify: verify ?? null,
    alpn: alpn ?? null,
    origin: originOf(["outbound", "expect", index]),
  }));
}

/**
 * --inbound-port defines which ports are intercepted, and the file's mode how: these ports get that mode, and the
 * others stay as they are. Null if not both are set. Throws POLICY_INVALID if there is no such port.
 */
function scopeOf(base: Policy, { fields, originOf }: PolicyDocument): readonly PortRule[] | null {
  const mode = fields.inbound?.mode;
  const { origin } = base.inbound.mode;
  if (mode === undefined || mode === "passthrough" || base.inbound.mode.origin === "default")
    return null;
  const sourced = { value: mode, origin: originOf(["inbound", "mode"]) };
  if (base.inbound.ports.every((rule) => rule.mode?.origin !== origin))
    throw new ProxyError(
      "POLICY_INVALID",
      `${sourced.origin}: inbound.mode ${mode} contradicts ${origin} none. Leave out one of the two, or name the ports`,
    );
  return base.inbound.ports.map((rule) =>
    rule.mode?.origin === origin ? { ...rule, mode: sourced } : rule,
  );
}

/** The file's rules override the options', field by field; of the file's own rules the narrower one comes first. */
function portsOf(
  options: readonly PortRule[],
  { fields, originOf }: PolicyDocument,
): readonly PortRule[] {
  const written = Object.entries(fields.inbound?.ports ?? {}).map(([key, rule]): PortRule => {
    const over = <T>(field: string, value: T | undefined): Sourced<T> | null =>
      value === undefined ? null : { value, origin: originOf(["inbound", "ports", key, field]) };
    return {
      ports: parsePortRange(key),
      mode: over("mode", rule.mode),
      allow: over<NonNullable<PortRule["allow"]>["value"]>("allow", rule.allow),
      preserveSource: over("preserveSource", rule.preserveSource),
      alpn: over<NonNullable<PortRule["alpn"]>["value"]>("alpn", rule.alpn),
    };
  });
  return layered([...written.toSorted((a, b) => sizeOf(a) - sizeOf(b)), ...options]);
}

function sizeOf({ ports: { first, last } }: PortRule): number {
  return last - first;
}
