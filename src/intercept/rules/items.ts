/** The plan for programs, one item for each command, set, chain and rule. Pure. */
import type { Plan } from "./rule.ts";
import { chainHead, deviceCommands, ipCommands, ruleText, setBody } from "./text.ts";

/** Stable: the topic `json` lists them. */
export const ruleItemIds = [
  "name-servers",
  "ip-command",
  "nft-table",
  "nft-set",
  "nft-chain",
  "nft-rule",
] as const;

export type RuleItem = {
  readonly id: (typeof ruleItemIds)[number];
  /** A command for sh, or a statement of nft(8). */
  readonly text: string;
  /** The set or the chain that it belongs to. */
  readonly fields: Readonly<Record<string, string>>;
};

/** In the order in which they are applied. */
export function planItems(plan: Plan): readonly RuleItem[] {
  const commands = [...ipCommands(plan), ...deviceCommands(plan)];
  return [
    ...commands.map((text): RuleItem => ({ id: "ip-command", text, fields: {} })),
    { id: "nft-table", text: `table inet ${plan.table}`, fields: { table: plan.table } },
    ...plan.sets.map((set): RuleItem => {
      const text = setBody(set).map((line) => line.trim());
      return { id: "nft-set", text: text.join("; "), fields: { set: set.name } };
    }),
    ...plan.chains.flatMap((chain): readonly RuleItem[] => [
      {
        id: "nft-chain",
        text: `chain ${chain.name} ${chainHead(chain)}`.trim(),
        fields: { chain: chain.name },
      },
      ...chain.rules.map((rule): RuleItem => ({
        id: "nft-rule",
        text: ruleText(rule, plan),
        fields: { chain: chain.name },
      })),
    ]),
  ];
}
