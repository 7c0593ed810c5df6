/** Rules of a proxy that can only request changes: what it asks of the repair process, and what it refuses to do. */
import { expect, test } from "bun:test";

import type { PreparedOutcome, Prepared } from "../../../../src/intercept/repair/frames.ts";
import { digestOf } from "../../../../src/intercept/repair/parts.ts";
import { repairedRules } from "../../../../src/intercept/repair/repaired-rules.ts";
import { planOf } from "../../../../src/intercept/rules/plan.ts";
import { kernel } from "../../../../src/netlink/socket.ts";
import { defaults, everything } from "../../../support/interceptions.ts";

type Answer = readonly [outcome: PreparedOutcome, digest: string, reason?: string];

const none = "00".repeat(32);

/** A repair process that answers requests to prepare rules with these answers in turn, and records the requests. */
function repairer(answers: readonly (Answer | null)[]) {
  const asked: string[] = [];
  const left = [...answers];
  const link = {
    alive: true,
    sockets: kernel,
    use: (state: string) => {
      asked.push(state);
      return new Map();
    },
    adopt: () => {
      asked.push("adopt");
      return new Map();
    },
    prepare: async (): Promise<Prepared | null> => {
      asked.push("prepare");
      const [outcome, digest, reason = ""] = left.shift() ?? [];
      if (outcome === undefined || digest === undefined) return null;
      return { kind: "prepared", number: 1, outcome, digest, reason };
    },
  };
  return { asked, rules: repairedRules(defaults, link) };
}

test("other rules are prepared, nothing new begins, then they are adopted", async () => {
  const { asked, rules } = repairer([["good", digestOf(everything)]]);
  await rules.prepare(everything);
  rules.holdNew();
  rules.change(everything, false);
  expect(asked).toEqual(["prepare", "changing", "adopt"]);
  expect(rules.plan()).toEqual(planOf(everything));
});

test("a file replaced between the two reads is read once more", async () => {
  const { asked, rules } = repairer([
    ["good", none],
    ["good", digestOf(everything)],
  ]);
  await rules.prepare(everything);
  rules.change(everything, false);
  expect(asked).toEqual(["prepare", "prepare", "adopt"]);
});

test("rules that were read differently three times are not applied", async () => {
  const { asked, rules } = repairer([
    ["good", none],
    ["good", digestOf(defaults)],
    ["good", none],
    ["good", digestOf(everything)],
  ]);
  const refused = await rules.prepare(everything).catch((error: unknown) => error);
  expect(String(refused)).toMatch(/it read different contents than the proxy did/);
  expect(asked).toEqual(["prepare", "prepare", "prepare"]);
  expect(() => rules.change(everything, false)).toThrow(/the rules cannot be changed/);
  expect(rules.plan()).toEqual(planOf(defaults));
});

test.each([
  [null, "START_FAILED", /takes too long/],
  [["no launcher", none], "RESTART_NEEDED", /its launcher has ended/],
  [["busy", none], "START_FAILED", /the previous one has not ended/],
  [["not read", none], "START_FAILED", /it has failed/],
  [["not ours", none], "RESTART_NEEDED", /its output is not the proxy's rules/],
] as const)("%p: the rules stay, and the reason is given", async (answer, code, why) => {
  const { asked, rules } = repairer([answer]);
  const refused = await rules.prepare(everything).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code });
  expect(String(refused)).toMatch(why);
  expect(() => rules.change(everything, false)).toThrow(/the rules cannot be changed/);
  expect(asked).toEqual(["prepare"]);
  rules.change(defaults, true);
  expect(asked).toEqual(["prepare", "open"]);
});

test("rules prepared before are not used for another change", async () => {
  const { rules } = repairer([["good", digestOf(everything)], null]);
  await rules.prepare(everything);
  await rules.prepare(defaults).catch(() => undefined);
  expect(() => rules.change(everything, false)).toThrow(/the rules cannot be changed/);
});

test("our reason contains that of the process that reads the rules, on one line, escaped and bounded", async () => {
  const reason = `tls-tproxy: p.yaml: 2 mistakes\n  line 1: \u001B[31m${"x".repeat(500)}\n`;
  const { rules } = repairer([["not read", none, reason]]);
  const refused = String(await rules.prepare(everything).catch((error: unknown) => error));
  expect(refused).toContain(String.raw`it has failed: p.yaml: 2 mistakes line 1: \u001b[31mxxx`);
  expect(refused).toEndWith("…. The proxy tries again");
  expect(refused.length).toBeLessThan(450);
});
