/**
 * Judges credentials with 0, 1, 2, … free descriptors until they are accepted, and prints the results as JSON: the code
 * and the message of an error, or "accepted". Arguments: the files of certificate, key and CA bundle.
 */
import { closeSync, openSync } from "node:fs";

import { acceptableCredentials } from "../../src/reload/own-credentials.ts";
import { ProxyError } from "../../src/runtime/errors.ts";

const [, , certificate = "", key = "", trustBundle = ""] = process.argv;
const config = { credentials: { certificate, key, trustBundle }, tlsVersionMin: "1.3" } as const;

async function judged(): Promise<readonly [string, string]> {
  try {
    await acceptableCredentials(config);
    return ["accepted", ""];
  } catch (error) {
    return error instanceof ProxyError ? [error.code, error.message] : ["bug", String(error)];
  }
}

// What Bun opens once only is open from then on.
const results = [await judged()];
const taken: number[] = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {
  // No descriptor is free.
}
for (;;) {
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  results.push(await judged());
  if (results.at(-1)?.[0] === "accepted") break;
  const one = taken.pop();
  if (one !== undefined) closeSync(one);
}
console.log(JSON.stringify(results));
