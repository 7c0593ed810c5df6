/** Changes by others to a pod's network: their own chains, and any shell command. */
import type { Pod } from "./pods.ts";

export type Chain = {
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly type?: "filter" | "route" | "nat";
  readonly priority: number;
  readonly rules: string;
};

/** Adds a table `inet other<hook>` with one chain; the same hook and priority again adds rules to that chain. */
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

/** Throws at the first command that fails. */
export async function runScript(pod: Pod, script: string): Promise<string> {
  const { code, stdout, stderr } = await pod.run(["sh", "-ec", script]);
  if (code !== 0) throw new Error(`${script}: ${stderr}`);
  return stdout;
}
