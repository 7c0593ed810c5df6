/**
 * The process that the repair process's launcher starts (ffi/src/repair_launcher.zig): the program with the proxy's
 * options, which only outputs the rules. It reads policy and name servers itself, because the proxy is not trusted.
 */
import type { Config } from "../config.ts";
import { judgedPolicy } from "../policy/policy-file.ts";
import { deviceRoutes } from "../intercept/kernel/devices.ts";
import { withPorts } from "../intercept/kernel/install.ts";
import { launchedBytes } from "../intercept/repair/frames.ts";
import { digestOf, partsOf } from "../intercept/repair/parts.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { writeAll } from "../native/repair-process.ts";
import { kernel } from "../netlink/socket.ts";
import { interceptionOf } from "../intercept/rules/interception.ts";

/** Throws USAGE, POLICY_INVALID, START_FAILED. */
export function sayRules({ policy, fixed }: Config): void {
  const interception = interceptionOf(judgedPolicy(policy, null), fixed);
  const devices = deviceRoutes(kernel, planOf(interception));
  const parts = partsOf(interception, { known: withPorts(new Map()), devices });
  // Bun.write would start again at the first byte after a partial write to a pipe.
  writeAll(standardOutput, launchedBytes(parts, digestOf(interception)), writeMsMax);
}

const standardOutput = 1;
const writeMsMax = 10_000;
