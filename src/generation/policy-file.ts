/** The policy file, read. */
import { readFileSync } from "node:fs";

import type { PolicySource } from "../config.ts";
import { ProxyError } from "../errors.ts";
import { assertCareful, assertReachable } from "../policy/care.ts";
import { assertCovered } from "../policy/coverage.ts";
import { parsePolicy } from "../policy/document.ts";
import { effectivePolicy } from "../policy/effective.ts";
import type { Policy } from "../policy/policy.ts";

/** The policy that holds: options, and the file over them. Throws POLICY_INVALID naming the file. */
export function loadPolicy({ file, base }: PolicySource): Policy {
  return file === null ? base : effectivePolicy(base, parsePolicy(readPolicyFile(file), file));
}

/**
 * The policy that holds, judged as a start and a reload judge it. `before`: the policy that holds until then, null at the
 * start. Throws USAGE, POLICY_INVALID.
 */
export function judgedPolicy(source: PolicySource, before: Policy | null): Policy {
  const policy = loadPolicy(source);
  assertCareful(policy, source.care);
  assertReachable(policy, source.care, before);
  if (source.care === null) assertCovered(policy, source.ownAddresses());
  return policy;
}

/** Throws POLICY_INVALID. */
export function readPolicyFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const text = `--policy ${file}: ${failures.get(code) ?? `it cannot be read: ${code}`}`;
    throw new ProxyError("POLICY_INVALID", text, { cause: error });
  }
}

const failures = new Map([
  ["ENOENT", "there is no such file"],
  ["EACCES", "it may not be read by this user"],
  ["EISDIR", "it is a directory, a file is wanted"],
]);
