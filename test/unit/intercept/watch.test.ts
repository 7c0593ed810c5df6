import { expect, test } from "bun:test";

import { planOf } from "../../../src/intercept/plan.ts";
import { RuleWatch } from "../../../src/intercept/watch.ts";
import type { Notice } from "../../../src/netlink/monitor.ts";
import { SystemCallError } from "../../../src/native/errno.ts";
import { defaults } from "../../support/interceptions.ts";

const plan = planOf(defaults);

test("a look that fails is repeated, and ends neither the watch nor the process", async () => {
  const answers = ["as written", new SystemCallError("socket", 24), "something else"];
  const notices: Notice[] = [];
  const changed = Promise.withResolvers<boolean>();
  const watch = new RuleWatch(plan, changed.resolve, {
    monitor: (given) => {
      notices.push(given);
      return { stop: () => undefined };
    },
    look: () => {
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

test("a first look that fails leaves no monitor behind", () => {
  let stopped = false;
  const senses = {
    monitor: () => ({
      stop: () => {
        stopped = true;
      },
    }),
    look: (): string => {
      throw new SystemCallError("socket", 24);
    },
  };
  expect(() => new RuleWatch(plan, () => undefined, senses)).toThrow("EMFILE");
  expect(stopped).toBe(true);
});
