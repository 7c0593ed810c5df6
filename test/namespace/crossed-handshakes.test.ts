/**
 * A stranger's SYN crosses an application's own (RFC 9293, 3.5, simultaneous open) while the proxy is dead: the port
 * may be one that others reach in cleartext, but this connection is the application's.
 */
import { describe, expect, test } from "bun:test";

import { capture } from "../support/capture.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

const injector = `${import.meta.dir}/../support/injector.ts`;
const scoped = ["--mesh-cidr", "10.77.0.0/24,fd77::/64"];
const source = "40000";

async function untracked(pod: Pod): Promise<void> {
  const text = `table inet raw {
    chain pre { type filter hook prerouting priority raw; meta l4proto tcp notrack; }
    chain out { type filter hook output priority raw; meta l4proto tcp notrack; }
  }`;
  const { code, stderr } = await pod.run(["nft", "-f", "-"], text);
  expect([code, stderr]).toEqual([0, ""]);
}

describe.each([
  ["a host", ["--host", ...scoped, "--inbound-port", "8080"], false],
  ["a host without conntrack", ["--host", ...scoped, "--inbound-port", "8080"], true],
  ["a pod, --inbound-port 8080", ["--inbound-port", "8080"], false],
  ["a pod, --exclude-inbound-port 40000", ["--exclude-inbound-port", source], false],
  ["a pod, without options", [], false],
] as const)("%s", (_, options, isUntracked) => {
  test.each(["address4", "address6"] as const)(
    "%s: nothing answers it in cleartext",
    async (family) => {
      const mesh = Mesh.create();
      const { b, c } = mesh;
      if (isUntracked) await untracked(b);
      // Kept rules need a proxy that has not removed them.
      const flags = [...flagsOf(mesh.credentials(b)), ...options, "--remove-rules-on-exit=false"];
      const proxy = await b.proxy(flags);
      await proxy.end("SIGKILL");
      const [from, to] = [c[family], b[family]].map((one) =>
        one.includes(":") ? `[${one}]` : one,
      );
      const dialling = b.start([
        "curl",
        "-sv",
        "--max-time",
        "5",
        "--local-port",
        source,
        `http://${from}:9999/`,
      ]);
      await dialling.says(/Trying/);
      const { lines } = await capture(b, async () => {
        for (let count = 0; count < 3; count += 1)
          await c.run(["bun", injector, `${from}:9999`, `${to}:${source}`, "1", "0", "", "0x02"]);
      });
      expect(lines.some((line) => line.includes("Flags [S]"))).toBe(true);
      const answers = lines.filter((line) => line.includes(`${b[family]}.${source} >`));
      expect(answers.filter((line) => !line.includes("Flags [R"))).toEqual([]);
      await dialling.end();
    },
  );
});
