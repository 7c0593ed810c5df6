/** What others do to a pod's network: chains of their own, and whatever a shell can. */
import type { Pod } from "./pods.ts";

export type Chain = {
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly type?: "filter" | "route" | "nat";
  readonly priority: number;
  readonly rules: string;
};

/** A table `inet other<hook>` with one chain; a second one of the same hook and priority is the first, with more rules. */
export async function addChain(
  pod: Pod,
  { hook, type = "filter", priority, rules }: Chain,
): Promise<void> {
  const table = `table inet other${hook} {
  chain c${Math.abs(priority)} {
    type ${type} hook ${hook} priority ${priority}; policy accept;
    ${rules}
  }
}
`;
  const { code, stderr } = await pod.run(["nft", "-f", "-"], table);
  if (code !== 0) throw new Error(`${stderr}${table}`);
}

/** Ends with the first command that fails, as an error. */
export async function runScript(pod: Pod, script: string): Promise<string> {
  const { code, stdout, stderr } = await pod.run(["sh", "-ec", script]);
  if (code !== 0) throw new Error(`${script}: ${stderr}`);
  return stdout;
}
