import { describe, expect, test } from "bun:test";

import { listingPlanOf, planOf } from "../../../../src/intercept/rules/plan.ts";
import { setOf, type Plan, type Rule } from "../../../../src/intercept/rules/rule.ts";
import { singlePort } from "../../../../src/net/ports.ts";
import { bypassed, defaults, everything, probed } from "../../../support/interceptions.ts";

function rulesOf(plan: Plan, chain: string): readonly Rule[] {
  return plan.chains.find(({ name }) => name === chain)?.rules ?? [];
}

function asksConntrack(plan: Plan): boolean {
  return plan.chains.some(({ rules }) =>
    rules.some((rule) => rule.some(({ kind }) => askingConntrack.has(kind))),
  );
}

/** An emptied set of served ports has no port 0, and one of known connections has no connection. */
function isKnown(rule: Rule): boolean {
  return rule.some(
    (step) =>
      step.kind === "opening" ||
      (step.kind === "in-set" && step.is && step.set.startsWith("dialled")) ||
      (step.kind === "not-emptied" && step.set === "served-ports"),
  );
}

const askingConntrack = new Set(["connection-mark", "set-connection-mark", "reply", "translated"]);

describe("the plan", () => {
  test("exempts the proxy's own marks before any other test", () => {
    const marks = rulesOf(planOf(defaults), "output")
      .flatMap(([first]) => (first?.kind === "fwmark" ? [first.equals] : []))
      .slice(0, 6);
    expect(marks).toEqual([0x5, 0x5, 0xf, 0xf, 0xf, 0xf]);
  });

  test("closes both directions at the end: what no rule exempts is captured or dropped", () => {
    const plan = planOf(everything);
    expect(rulesOf(plan, "output").at(-1)).toEqual([{ kind: "set-fwmark", value: 0x500 }]);
    for (const chain of ["prerouting", "translated", "postrouting", "steered"])
      expect(rulesOf(plan, chain).at(-1)?.at(-1)).toEqual({ kind: "verdict", verdict: "drop" });
  });

  test("checks outgoing packets last, after anything else that sets a mark or a destination", () => {
    const guard = planOf(defaults).chains.find(({ name }) => name === "postrouting");
    const base = guard?.base;
    expect(base?.hook).toBe("postrouting");
    // NAT rewrites sources at priority 100: nf_ip_hook_priorities.
    expect(base?.priority).toBe(99);
  });

  test("never exempts a packet for the proxy's own mark alone: its socket must have the mark too, or not exist", () => {
    const plan = planOf(everything);
    const own = everything.mark.value ^ everything.mark.mask;
    const isOwn = { kind: "fwmark", equals: own } as const;
    const leaving = rulesOf(plan, "output").filter(
      ([first, , ...more]) => Bun.deepEquals(first, isOwn) && more.length > 0,
    );
    expect(leaving.flatMap(([, second]) => second ?? [])).toEqual([
      { kind: "loopback", way: "oif", is: true },
      { kind: "socket-mark", equals: own, is: true },
      { kind: "answering" },
      { kind: "socket-mark", equals: own, is: false },
    ]);
    const last = plan.chains.find(({ name }) => name === "marks");
    expect(last?.base).toEqual({ type: "filter", hook: "output", priority: 2 ** 31 - 1 });
    expect(rulesOf(plan, "unowned").at(-1)).toEqual([{ kind: "verdict", verdict: "drop" }]);
  });

  test("lets packets out to other ports only if they begin a connection or are known, and fails closed", () => {
    const plan = planOf({ ...defaults, outboundPorts: [singlePort(5432)] });
    const scoped = plan.chains.flatMap(({ rules }) =>
      rules.filter((rule) =>
        rule.some((step) => step.kind === "in-set" && step.set === "outbound-ports"),
      ),
    );
    expect(scoped.length).toBeGreaterThan(0);
    expect(scoped.filter((rule) => !isKnown(rule))).toEqual([]);
  });

  test("covers forwarded packets, unless users are selected or the option excludes them", () => {
    expect(rulesOf(planOf(defaults), "forwarded").at(-1)?.at(-1)).toEqual({
      kind: "verdict",
      verdict: "drop",
    });
    for (const of of [{ forwarded: "leave" }, { onlyUids: [33] }] as const)
      expect(rulesOf(planOf({ ...defaults, ...of }), "forwarded")).toEqual([
        [{ kind: "verdict", verdict: "return" }],
      ]);
  });

  test("uses conntrack only if an option needs it", () => {
    expect(asksConntrack(planOf(defaults))).toBe(false);
    expect(asksConntrack(planOf({ ...defaults, excludedInboundPorts: [singlePort(80)] }))).toBe(
      true,
    );
    expect(asksConntrack(planOf({ ...defaults, inboundPorts: [singlePort(80)] }))).toBe(true);
    expect(asksConntrack(planOf({ ...defaults, excludedUids: [0] }))).toBe(true);
    expect(asksConntrack(planOf(bypassed))).toBe(true);
    expect(asksConntrack(planOf(probed))).toBe(true);
  });

  test("always exempts the status port, link-local and multicast addresses", () => {
    const plan = planOf({ ...defaults, statusPort: 9000 });
    const ports = { kind: "numbers", numbers: [9000] };
    expect(setOf(plan, "excluded-inbound-ports").elements).toEqual(ports as never);
    for (const name of ["excluded4", "excluded6"])
      expect(setOf(plan, name).elements).toMatchObject({ kind: "intervals" });
  });

  test.each([defaults, everything, bypassed, probed])("names only its own sets", (interception) => {
    for (const plan of [planOf(interception), listingPlanOf(interception)]) {
      const steps = plan.chains.flatMap(({ rules }) => rules.flat());
      const named = steps.flatMap((step) => ("set" in step ? [step.set] : []));
      expect(named).not.toHaveLength(0);
      expect(plan.sets.map(({ name }) => name)).toEqual(expect.arrayContaining(named));
    }
  });

  test("the gate blocks every new connection that the plan would divert", () => {
    for (const { rules } of listingPlanOf(defaults).chains)
      expect(rules.at(-1)).toEqual([{ kind: "opening" }, { kind: "verdict", verdict: "drop" }]);
  });
});
