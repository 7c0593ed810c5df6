/** The ids that each command's `--json` may print. The topic `json` lists them, and a test compares both. */
import { topics } from "../help/topics.ts";
import { ruleItemIds } from "../intercept/rules/items.ts";
import { policyItemIds } from "../policy/items.ts";
import { errorCodes } from "../runtime/errors.ts";
import { checkTitles, selftestTitles } from "../tools/check/titles.ts";
import { explanationIds } from "../tools/explain.ts";

export const itemIds: Readonly<Record<string, readonly string[]>> = {
  check: Object.keys(checkTitles),
  policy: ["policy-valid", ...policyItemIds],
  why: [...explanationIds, "no-certificate"],
  rules: ["rules-applied", "rules-removed", "preexisting", ...ruleItemIds],
  ready: ["ready", "not-ready", "no-answer"],
  selftest: Object.keys(selftestTitles),
  version: ["version", "commit", "bun", "zig", "flavour"],
};

/** For `help`: the names of the topics. */
export const topicIds = topics.map(({ name }) => name);

/** For any command that fails. */
export const failureIds = errorCodes.map((code) => code.toLowerCase().replaceAll("_", "-"));
