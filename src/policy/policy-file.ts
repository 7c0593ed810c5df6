/** Reads the policy file. */
import { readSync } from "node:fs";

import { ProxyError } from "../runtime/errors.ts";
import { FileError, readRegularFile } from "../runtime/files.ts";
import type { OwnAddress } from "../net/own-addresses.ts";
import { assertScoped, assertReachable, type LockoutGuard } from "./lockout-guard.ts";
import { assertConsistent } from "./consistency.ts";
import { assertCovered } from "./coverage.ts";
import { parsePolicy } from "./document.ts";
import { effectivePolicy } from "./effective.ts";
import { parseResolvers, withResolvers } from "./resolvers.ts";
import type { Policy } from "./policy.ts";

export type PolicySource = {
  /** Null: only the options. */
  readonly file: string | null;
  /** The values of options, environment and defaults; the file overrides them. */
  readonly base: Policy;
  /** Null in a pod. */
  readonly lockoutGuard: LockoutGuard | null;
  /** The file with our own name servers: resolv.conf(5). */
  readonly resolvConf: string;
  /** Evaluated whenever a policy is judged. */
  readonly ownAddresses: () => readonly OwnAddress[];
};

/** The effective policy: options, overridden by the file. Throws POLICY_INVALID naming the file. */
export function loadPolicy({ file, base, resolvConf }: PolicySource): Policy {
  const policy =
    file === null
      ? base
      : effectivePolicy(
          base,
          parsePolicy(readPolicyFile(file), file === "-" ? "standard input" : file),
        );
  const { dnsTcp } = policy.outbound;
  const text = dnsTcp.value === "intercept" ? "" : readResolvConf(resolvConf);
  return withResolvers(policy, parseResolvers(text));
}

/**
 * Without the file the only name server is the resolver library's default, 127.0.0.1: resolv.conf(5). A file that
 * exists but cannot be read is an error instead. Throws POLICY_INVALID.
 */
function readResolvConf(path: string): string {
  try {
    return readRegularFile(path, resolvConfBytesMax).toString("latin1");
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (absent.has(error.code)) return "";
    const text = `${path}: ${error.message}. It says which name servers' TCP port 53 is left alone; with --dns-tcp intercept it is not needed`;
    throw new ProxyError(codeOf(error), text, { cause: error });
  }
}

/** A file that cannot be read for want of a descriptor or of memory may be valid. */
function codeOf({ isShortage }: FileError): "POLICY_INVALID" | "SYSTEM_CALL" {
  return isShortage ? "SYSTEM_CALL" : "POLICY_INVALID";
}

/**
 * The effective policy, judged as at a start and a reload. `before`: the policy in force until then, null at the
 * start. Throws USAGE, POLICY_INVALID.
 */
export function judgedPolicy(source: PolicySource, before: Policy | null): Policy {
  const policy = loadPolicy(source);
  assertConsistent(policy);
  assertScoped(policy, source.lockoutGuard);
  assertReachable(policy, source.lockoutGuard, before);
  if (source.lockoutGuard === null) assertCovered(policy, source.ownAddresses());
  return policy;
}

/** Throws POLICY_INVALID, SYSTEM_CALL. */
export function readPolicyFile(file: string): string {
  if (file === "-") return readStandardInput();
  try {
    return readRegularFile(file, fileBytesMax).toString("utf8");
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const text = `--policy ${file}: ${error.message}`;
    throw new ProxyError(codeOf(error), text, { cause: error });
  }
}

/** Reads a pipe to its end, or to one byte too many. */
function readStandardInput(): string {
  const buffer = Buffer.alloc(fileBytesMax + 1);
  let length = 0;
  for (;;) {
    const count = readSome(buffer.subarray(length));
    length += count;
    if (count === 0) return buffer.toString("utf8", 0, length);
    if (length > fileBytesMax)
      throw new ProxyError("POLICY_INVALID", `--policy -: more than ${fileBytesMax} bytes`);
  }
}

/** Reads from standard input, which may be a directory, closed, or non-blocking without data. */
function readSome(into: Uint8Array): number {
  try {
    return readSync(0, into);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    const text = `--policy -: it cannot be read: ${String(error.code)}`;
    throw new ProxyError("POLICY_INVALID", text, { cause: error });
  }
}

/** The largest UTF-8 size of a policy with the maximum number of characters. */
const fileBytesMax = 1 << 20;
/** As errno(3) has it. */
const absent: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR"]);
const resolvConfBytesMax = 65_536;
