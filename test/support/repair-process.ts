/** The repair process and the launcher of a proxy that has dropped its privileges. */
import { readFileSync } from "node:fs";

import type { Running } from "./pods.ts";

/** The repair process's pid. Throws if there is none. */
export function repairProcessOf(proxy: Running): number {
  return childOf(proxy, "tls-tproxy-repair");
}

/** The launcher's pid: it starts the processes that read the rules. */
export function launcherOf(proxy: Running): number {
  return childOf(proxy, "tls-tproxy-launcher");
}

function childOf({ pid }: Running, name: string): number {
  const children = childrenOf(pid).filter(
    (child) => readFileSync(`/proc/${child}/cmdline`, "latin1").split("\0")[0] === name,
  );
  const [found, ...others] = children;
  if (found === undefined || others.length > 0)
    throw new Error(`children of ${pid} called ${name}: ${children.join(" ")}`);
  return found;
}

export function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

/** A field of /proc/<pid>/status. */
export function statusOf(pid: number, field: string): string {
  const text = readFileSync(`/proc/${pid}/status`, "latin1");
  return new RegExp(`^${field}:\\s+(\\S+)`, "m").exec(text)?.[1] ?? "";
}
