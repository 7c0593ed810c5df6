/**
 * Contradictions in a policy, wherever its parts were written: a start, a reload, `check` and `policy --check` refuse
 * them. Pure.
 */
import { ProxyError } from "../runtime/errors.ts";
import { intervalsOf, parseCidr, type Cidr } from "../net/cidr.ts";
import { commonPorts, formatPorts, portMax, portsOutside, type Ports } from "../net/ports.ts";
import { domainOfPattern, type IdPattern } from "./id-pattern.ts";
import { defaultMeshRanges, neverIntercepted, type Policy, type PortRule } from "./policy.ts";

type Contradiction = {
  /** "policy.yaml:12", or an option or environment variable. */
  readonly origin: string;
  readonly text: string;
};

/** Throws POLICY_INVALID if a file contributes, else USAGE; lists all contradictions, a line each. */
export function assertConsistent(policy: Policy): void {
  const found = contradictionsOf(policy).toSorted((a, b) => lineOf(a) - lineOf(b));
  if (found.length === 0) return;
  const lines = [...new Set(found.map(({ origin, text }) => `${origin}: ${text}`))];
  const inFile = found.some((one) => lineOf(one) > 0);
  const text =
    lines.length === 1
      ? (lines[0] ?? "")
      : `${lines.length} contradictions\n  ${lines.join("\n  ")}`;
  throw new ProxyError(inFile ? "POLICY_INVALID" : "USAGE", text, { parts: lines });
}

/** In no particular order. */
export function contradictionsOf(policy: Policy): readonly Contradiction[] {
  return [
    ...rangeContradictions(policy),
    ...portContradictions(policy),
    ...allowContradictions(policy),
    ...passedThroughContradictions(policy),
    ...domainContradictions(policy),
  ];
}

/** Patterns of another trust domain than this one, with their origins. */
export function foreignPatterns(
  { inbound, outbound }: Policy,
  trustDomain: string,
): readonly (Contradiction & { readonly pattern: IdPattern })[] {
  const lists = [
    inbound.allow,
    ...inbound.ports.map(({ allow }) => allow),
    ...outbound.expect.map(({ allow, origin }) => ({ value: allow, origin })),
  ];
  return lists.flatMap((list) =>
    (list?.value ?? [])
      .filter((pattern) => domainOfPattern(pattern) !== trustDomain)
      .map((pattern) => ({
        pattern,
        origin: list?.origin ?? "",
        text: `allow names ${pattern.text}, which is not of the trust domain ${trustDomain}`,
      })),
  );
}

function rangeContradictions({ outbound }: Policy): readonly Contradiction[] {
  const { mesh, exclude, expect } = outbound;
  const never = [...neverIntercepted, ...loopback];
  const written = [
    ...mesh.value.map((range) => ({ range, origin: mesh.origin, field: "mesh range" })),
    ...expect.map(({ to, origin }) => ({ range: to, origin, field: "expect.to" })),
  ];
  const undivertible = written
    .filter(({ range }) => isInside(range, never))
    .map(({ range, origin, field }) => ({
      origin,
      text: `${field} ${range.text} is never diverted (loopback, link-local, multicast). Leave it out`,
    }));
  // The default ranges are not an explicit choice: any of them may be excluded.
  const chosen = defaultMeshRanges.every(({ text }) => mesh.value.some((one) => one.text === text))
    ? mesh.value.filter(({ text }) => defaultMeshRanges.every((one) => one.text !== text))
    : mesh.value;
  const nothingLeft =
    mesh.value.length > 0 && mesh.value.every((range) => isInside(range, exclude.value));
  const excluded = (nothingLeft ? mesh.value : chosen).filter((range) =>
    isInside(range, exclude.value),
  );
  // An ALPN offer does not define who answers.
  const unguarded = expect.filter(
    ({ to, allow, verify }) =>
      (allow !== null || verify !== null) && isInside(to, exclude.value) && !isInside(to, never),
  );
  return [
    ...undivertible,
    ...outsideContradictions(outbound),
    ...unguarded.map(({ to, origin }) => ({
      origin,
      text: `expect.to ${to.text} is excluded as a whole (${exclude.origin}): connections to it would be in cleartext, to any server. Remove the rule or the exclusion`,
    })),
    ...excluded.map((range) => ({
      origin: mesh.origin === "default" ? exclude.origin : mesh.origin,
      text: `mesh range ${range.text} is excluded as a whole (${exclude.origin}): connections to it would be in cleartext. Remove the range or the exclusion`,
    })),
  ];
}

/** Without a mesh nothing is diverted, and such a rule makes no promise. */
function outsideContradictions({
  mesh,
  exclude,
  expect,
}: Policy["outbound"]): readonly Contradiction[] {
  if (mesh.value.length === 0) return [];
  const known = [...mesh.value, ...exclude.value, ...neverIntercepted, ...loopback];
  return expect
    .filter(({ to, allow, verify }) => (allow !== null || verify !== null) && !overlaps(to, known))
    .map(({ to, origin }) => ({
      origin,
      text: `expect.to ${to.text} is outside of the mesh (${mesh.origin}): connections to it would be in cleartext, to any server. Add the range to mesh, or leave the rule out`,
    }));
}

function portContradictions({ outbound }: Policy): readonly Contradiction[] {
  const { ports, excludePorts } = outbound;
  const whole: readonly Ports[] = [{ first: 1, last: portMax }];
  if (ports.value === "all")
    return portsOutside(whole, excludePorts.value).length > 0
      ? []
      : [
          {
            origin: excludePorts.origin,
            text: "every outbound port is excluded. Say --mesh-cidr none if nothing outbound is to be diverted",
          },
        ];
  if (ports.value.length === 0)
    return [
      {
        origin: ports.origin,
        text: "no outbound port is diverted. Name the ports, or say mesh: [] if nothing outbound is to be diverted",
      },
    ];
  const both = commonPorts(ports.value, excludePorts.value);
  if (both === null) return [];
  const text = `outbound port ${formatPorts(both)} is both diverted and excluded (${excludePorts.origin}). Leave it out of one of the two`;
  return [{ origin: ports.origin, text }];
}

/** A configured list without effect, because the port is open to all. */
function allowContradictions({ inbound }: Policy): readonly Contradiction[] {
  const open = inbound.ports.flatMap(({ ports, mode, allow }) => {
    if (allow?.value == null || (mode ?? inbound.mode).value !== "passthrough") return [];
    const text = `inbound port ${formatPorts(ports)} is passed through in cleartext (${(mode ?? inbound.mode).origin}), so allow has no effect. Set mode: strict, or leave allow out`;
    return [{ origin: allow.origin, text }];
  });
  const decides =
    inbound.mode.value !== "passthrough" ||
    inbound.ports.some(
      ({ mode, allow }) => mode !== null && mode.value !== "passthrough" && allow === null,
    );
  if (inbound.allow.value === null || decides) return open;
  const text = `inbound.allow has no effect, because every inbound port is passed through in cleartext (${inbound.mode.origin}). Set mode: strict, or leave allow out`;
  return [...open, { origin: inbound.allow.origin, text }];
}

/** Settings for ports that are all passthrough, so that the proxy never sees a connection there. */
function passedThroughContradictions({ inbound }: Policy): readonly Contradiction[] {
  const modeIn = (rule: PortRule): Policy["inbound"]["mode"] => rule.mode ?? inbound.mode;
  const passed = inbound.ports.filter((rule) => modeIn(rule).value === "passthrough");
  const others = inbound.ports.filter((rule) => modeIn(rule).value !== "passthrough");
  return (["preserveSource", "alpn"] as const).flatMap((field) =>
    passed.flatMap((rule) => {
      const said = rule[field];
      // A gap in a range of ports is no contradiction.
      if (said === null || others.some((other) => other[field] === said)) return [];
      const text = `inbound port ${formatPorts(rule.ports)} is passed through in cleartext (${modeIn(rule).origin}), so ${field} has no effect. Set mode: strict, or leave ${field} out`;
      return [{ origin: said.origin, text }];
    }),
  );
}

/** For a configured trust domain only, not one that follows from our certificate. */
function domainContradictions(policy: Policy): readonly Contradiction[] {
  const { value, origin } = policy.trustDomain;
  if (value === null) return [];
  return foreignPatterns(policy, value).map(({ origin: where, text }) => ({
    origin: where,
    text: `${text} (${origin}). Correct it, or leave the trust domain out`,
  }));
}

function isInside(range: Cidr, ranges: readonly Cidr[]): boolean {
  return intervalsOf(ranges, range.family).some(
    ({ first, last }) => first <= range.first && range.last <= last,
  );
}

function overlaps(range: Cidr, ranges: readonly Cidr[]): boolean {
  return intervalsOf(ranges, range.family).some(
    ({ first, last }) => first <= range.last && range.first <= last,
  );
}

/** 0 for values that no file sets. */
function lineOf({ origin }: Contradiction): number {
  return Number(/:(\d+)$/.exec(origin)?.[1] ?? 0);
}

const loopback = ["127.0.0.0/8", "::1"].map(parseCidr);
