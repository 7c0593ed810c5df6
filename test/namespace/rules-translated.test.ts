/** Connections that NAT translates to an address of the pod are judged by their translated destination. */
import { beforeAll, expect, test } from "bun:test";

import { aliasTexts } from "../../src/net/alias.ts";
import { hungMs } from "../support/deadline.ts";
import { addChain, runScript } from "../support/foreign.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";

const mesh = Mesh.create();
const { a, c } = mesh;
const proxies = new Map<Pod, Running>();
/** Addresses in the mesh's ranges that all others route to the pods, and that belong to no pod. */
const service = { 4: "10.99.0.9", 6: "fd99::9" } as const;

beforeAll(async () => {
  await mesh.proxy(a);
});

async function asked(from: Pod, host: string, port: number): Promise<string> {
  const command = ["curl", "--silent", "--max-time", "3", `http://${host}:${port}/`];
  return (await from.run(command)).stdout;
}

/** A pod with a proxy and an application, to which the service's addresses are routed and translated. */
async function translating(pod: Pod, options: readonly string[], rules: string): Promise<void> {
  proxies.set(pod, await mesh.proxy(pod, options));
  for (const port of [8080, 9000]) await serveHttp(pod, port, `at ${port}`);
  await addChain(pod, { hook: "prerouting", type: "nat", priority: -100, rules });
  for (const other of [a, c])
    await runScript(
      other,
      `ip route replace ${service[4]} via ${pod.address4}; ip -6 route replace ${service[6]} via ${pod.address6}`,
    );
}

function toPort(pod: Pod, from: number, to: number): string {
  return `ip daddr ${service[4]} tcp dport ${from} dnat ip to ${pod.address4}:${to}
    ip6 daddr ${service[6]} tcp dport ${from} dnat ip6 to [${pod.address6}]:${to}`;
}

test.each([[["--exclude-inbound-port", "9000"]], [["--inbound-port", "8080"]]])(
  "a foreign address opens no strict port to strangers, and peers are carried: %p",
  async (options) => {
    const pod = mesh.extraPod();
    const rules = `${toPort(pod, 80, 8080)}\n    ${toPort(pod, 81, 9000)}`;
    await translating(pod, options, rules);
    for (const host of [service[4], `[${service[6]}]`]) {
      expect(await asked(c, host, 80)).toBe("");
      expect(await asked(a, host, 80)).toBe("at 8080");
      // The port alone decides.
      expect(await asked(c, host, 81)).toBe("at 9000");
    }
  },
  hungMs,
);

test(
  "an open port does not lead to a strict one",
  async () => {
    const pod = mesh.extraPod();
    const rules = "tcp dport 9000 redirect to :8080";
    await translating(pod, ["--exclude-inbound-port", "9000"], rules);
    for (const host of [pod.address4, `[${pod.address6}]`])
      expect(await asked(c, host, 9000)).toBe("");
  },
  hungMs,
);

test(
  "neither loopback nor the pod's own address becomes open to strangers",
  async () => {
    const pod = mesh.extraPod();
    await runScript(pod, "sysctl -qw net.ipv4.conf.all.route_localnet=1");
    const rules = `ip daddr ${service[4]} tcp dport 80 dnat ip to 127.0.0.1:8080
    ip daddr ${service[4]} tcp dport 81 dnat ip to ${aliasTexts[4]}:8080
    ip6 daddr ${service[6]} tcp dport 81 dnat ip6 to [${aliasTexts[6]}]:8080`;
    await translating(pod, [], rules);
    expect(await asked(c, service[4], 80)).toBe("");
    expect(await asked(c, service[4], 81)).toBe("");
    expect(await asked(c, `[${service[6]}]`, 81)).toBe("");
  },
  hungMs,
);

test.each(["SIGKILL", "SIGTERM"] as const)(
  "after %s a foreign address opens nothing either",
  async (signal) => {
    const pod = mesh.extraPod();
    await translating(pod, ["--privileges", "kept"], toPort(pod, 80, 8080));
    await proxies.get(pod)?.end(signal);
    expect(await asked(c, service[4], 80)).toBe("");
    expect(await asked(c, `[${service[6]}]`, 80)).toBe("");
    await runScript(pod, "nft delete table inet tls-tproxy");
    expect(await asked(c, service[4], 80)).toBe("at 8080");
  },
  hungMs,
);
