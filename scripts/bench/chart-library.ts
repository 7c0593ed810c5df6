/** Chart.js as one script for browsers. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";

/** Its package.json exports only the modules; the script is beside them. */
export function chartLibrary(): string {
  const modules = dirname(Bun.resolveSync("chart.js", import.meta.dir));
  return readFileSync(`${modules}/chart.umd.min.js`, "utf8");
}
