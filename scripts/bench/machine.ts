/** The machine and the program versions of a run: figures without them have no value. */
import { readFileSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";

import { executable } from "../../test/support/pods.ts";
import type { Machine } from "./results.ts";

export function lookAtMachine(peers: boolean): Machine {
  return {
    processor: /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "?",
    cores: availableParallelism(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    distribution: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "?",
    versions: Object.fromEntries(
      programs
        .filter(({ peer }) => peers || !peer)
        .map(({ name, command, pattern }) => [name, versionOf(command, pattern)]),
    ),
  };
}

/** Some print it on stderr; some exit with a non-zero code. */
function versionOf(command: readonly string[], pattern: RegExp): string {
  try {
    const { stdout, stderr } = Bun.spawnSync([...command]);
    return pattern.exec(`${stdout.toString()}${stderr.toString()}`)?.[1] ?? "of unknown version";
  } catch {
    return "missing";
  }
}

const programs = [
  {
    name: "tproxy",
    command: [...executable(), "version"],
    pattern: /(\d+\.\d+\.\d+.*)/,
    peer: false,
  },
  { name: "Bun", command: ["bun", "--version"], pattern: /(\S+)/, peer: false },
  { name: "wrk", command: ["wrk", "-v"], pattern: /wrk (?:debian\/)?(\S+)/, peer: false },
  { name: "iperf3", command: ["iperf3", "--version"], pattern: /iperf (\S+)/, peer: false },
  { name: "OpenSSL", command: ["openssl", "version"], pattern: /OpenSSL (\S+)/, peer: false },
  { name: "HAProxy", command: ["haproxy", "-v"], pattern: /version (\d[\d.]*)/, peer: true },
  { name: "nginx", command: ["nginx", "-v"], pattern: /nginx\/(\S+)/, peer: true },
  { name: "stunnel", command: ["stunnel4", "-version"], pattern: /stunnel (\S+)/, peer: true },
];
