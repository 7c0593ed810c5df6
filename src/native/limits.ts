/** The kernel's limits for this process: proc(5), limits. */
import { readFileSync } from "node:fs";

/** The number of descriptors that may be open. Bun raises the soft limit to the hard one at its start. */
export function descriptorsMax(): number {
  const soft = /^Max open files +(\d+|unlimited)/m.exec(
    readFileSync("/proc/self/limits", "latin1"),
  );
  const value = Number(soft?.[1]);
  return Number.isInteger(value) ? value : Number.MAX_SAFE_INTEGER;
}
