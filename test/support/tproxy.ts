/** One run of the program, from its start to its exit. */
import { executable } from "./pods.ts";

export type Said = { readonly code: number; readonly out: string; readonly error: string };

/** `environment` is added to this process's own. */
export function tproxy(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Said {
  const env = { ...process.env, ...environment };
  const { exitCode, stdout, stderr } = Bun.spawnSync([...executable(), ...args], { env });
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}
