import { expect, test } from "bun:test";

import { planOf } from "../../../../src/intercept/rules/plan.ts";
import { RuleWatch } from "../../../../src/intercept/kernel/watch.ts";
import type { Notice } from "../../../../src/netlink/monitor.ts";
import { SystemCallError } from "../../../../src/native/errno.ts";
import { defaults } from "../../../support/interceptions.ts";

const plan = planOf(defaults);
const others = { table: () => "the table", routed: () => true };

test("a failed check is repeated, and ends neither the watch nor the process", async () => {
  const answers = ["as written", new SystemCallError("socket", 24), "something else"];
  const notices: Notice[] = [];
  const changed = Promise.withResolvers<boolean>();
  const watch = new RuleWatch(plan, changed.resolve, {
    ...others,
    monitor: (given) => {
      notices.push(given);
      return { stop: () => undefined };
    },
    rulesAndRoutes: () => {
      const answer = answers.shift() ?? "something else";
      if (typeof answer === "string") return answer;
      throw answer;
    },
  });
  for (const notice of notices) notice("rules", null);
  expect(await changed.promise).toBe(false);
  expect([watch.intact, answers]).toEqual([false, []]);
  watch.stop();
});

test("a failed first check leaves no monitor behind", () => {
  let stopped = false;
  const view = {
    ...others,
    monitor: () => ({
      stop: () => {
        stopped = true;
      },
    }),
    rulesAndRoutes: (): string => {
      throw new SystemCallError("socket", 24);
    },
  };
  expect(() => new RuleWatch(plan, () => undefined, view)).toThrow("EMFILE");
  expect(stopped).toBe(true);
});

test("a missing route affects only its own family's answers, a missing table those of both", async () => {
  let now = { look: "as written", table: "as written", lost: 0 };
  const notices: Notice[] = [];
  const changes: boolean[] = [];
  let changed = Promise.withResolvers<null>();
  const watch = new RuleWatch(
    plan,
    (intact) => {
      changes.push(intact);
      changed.resolve(null);
    },
    {
      monitor: (given) => {
        notices.push(given);
        return { stop: () => undefined };
      },
      rulesAndRoutes: () => now.look,
      table: () => now.table,
      routed: (_, of) => of !== now.lost,
    },
  );
  const become = async (next: typeof now): Promise<readonly boolean[]> => {
    now = next;
    changed = Promise.withResolvers();
    for (const notice of notices) notice("routes", null);
    await changed.promise;
    return [watch.returnsToProxy(4), watch.returnsToProxy(6)];
  };
  expect(await become({ look: "less", table: "as written", lost: 6 })).toEqual([true, false]);
  expect(await become({ look: "less", table: "other", lost: 6 })).toEqual([false, false]);
  expect(await become({ look: "as written", table: "as written", lost: 0 })).toEqual([true, true]);
  expect(changes).toEqual([false, false, true]);
  watch.stop();
});
