/** The process that keeps the rules of a proxy that has given up its privileges. */
import { readFileSync } from "node:fs";

import type { Running } from "./pods.ts";

/** Its pid: the proxy's only child. Throws if there is none, or several. */
export function keeperOf({ pid }: Running): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ");
  const [keeper, ...others] = children.map(Number);
  if (keeper === undefined || keeper === 0 || others.length > 0)
    throw new Error(`the children of ${pid} are: ${children.join(" ")}`);
  return keeper;
}

/** A field of /proc/<pid>/status. */
export function statusOf(pid: number, field: string): string {
  const text = readFileSync(`/proc/${pid}/status`, "latin1");
  return new RegExp(`^${field}:\\s+(\\S+)`, "m").exec(text)?.[1] ?? "";
}
