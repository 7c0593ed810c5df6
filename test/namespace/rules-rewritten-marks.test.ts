/** Whatever other tables do to marks, destinations and headers, nothing leaves for the mesh in cleartext. */
import { beforeAll, expect, test } from "bun:test";

import { capture } from "../support/capture.ts";
import { hungMs } from "../support/deadline.ts";
import { serveHttp } from "../support/http.ts";
import { repairProcessOf } from "../support/repair-process.ts";
import { Mesh } from "../support/mesh.ts";
import { executable, type Pod, type Running } from "../support/pods.ts";
import { addChain, runScript, type Chain } from "../support/foreign.ts";

const mesh = Mesh.create();
const { c } = mesh;
/** Addresses of c outside the mesh. */
const outside = { 4: "198.51.100.9", 6: "2001:db8::9" } as const;

beforeAll(async () => {
  await serveHttp(c, 8080, "in clear");
  await runScript(c, `ip addr add ${outside[4]}/32 dev lo; ip addr add ${outside[6]}/128 dev lo`);
});

async function asked(from: Pod, host: string, ...more: readonly string[]): Promise<string> {
  const command = ["curl", "--silent", "--max-time", "2", ...more, `http://${host}:8080/`];
  return (await from.run(command)).stdout;
}

/** A pod with a proxy that also reaches c's addresses outside the mesh. */
async function podWith(...options: readonly string[]): Promise<Pod> {
  return (await podAndProxy(...options)).pod;
}

async function podAndProxy(
  ...options: readonly string[]
): Promise<{ readonly pod: Pod; readonly proxy: Running }> {
  const pod = mesh.extraPod();
  await runScript(
    pod,
    `ip route add ${outside[4]} via ${c.address4}; ip -6 route add ${outside[6]} via ${c.address6}`,
  );
  return { pod, proxy: await mesh.proxy(pod, options) };
}

const output = (priority: number, rules: string): Chain => ({
  hook: "output",
  type: "route",
  priority,
  rules,
});

const rewriters: readonly (readonly [string, readonly Chain[]])[] = [
  ["restored from conntrack after ours", [output(-149, "meta mark set ct mark")]],
  ["set to something else after ours", [output(-149, "meta mark set 0x20")]],
  ["set at the end of the hook", [output(300, "meta mark set 0")]],
  [
    "saved to conntrack and restored from there",
    [
      { hook: "postrouting", priority: 0, rules: "ct mark set meta mark" },
      output(-149, "ct direction original ct mark != 0 meta mark set ct mark"),
    ],
  ],
  [
    "set to those of the proxy's answers on the application's packets",
    [
      output(0, "ct direction reply ct mark set meta mark"),
      output(1, "ct direction original ct mark != 0 meta mark set ct mark"),
    ],
  ],
  [
    "removed on lo, with forwarding on",
    [{ hook: "prerouting", priority: -151, rules: "meta mark set 0" }],
  ],
  ["set to the proxy's own before ours", [output(-151, "meta mark set 5")]],
  ["set to the proxy's own after ours", [output(-149, "meta mark set 0x25")]],
  ["set to the proxy's own at the end of the hook", [output(2147483647, "meta mark set 5")]],
  [
    "set to the proxy's own before ours, on packets with data only",
    [output(-151, "tcp flags & psh == psh meta mark set 5")],
  ],
  [
    "set to the proxy's own on lo, with forwarding on",
    [{ hook: "prerouting", priority: -151, rules: "meta mark set 5" }],
  ],
  [
    "set to the proxy's own on the way to lo, with forwarding on",
    [{ hook: "postrouting", priority: 0, rules: "meta mark set 5" }],
  ],
];

test.each(rewriters)(
  "where marks are %s nothing leaves in cleartext",
  async (_, chains) => {
    for (const options of [[], ["--exclude-uid", "9"]]) {
      const pod = await podWith(...options);
      await runScript(pod, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
      for (const chain of chains) await addChain(pod, chain);
      const { bytes } = await capture(pod, async () => {
        expect(await asked(pod, c.address4)).toBe("");
        expect(await asked(pod, `[${c.address6}]`)).toBe("");
      });
      expect(bytes.includes("GET /")).toBe(false);
    }
  },
  hungMs,
);

test(
  "excluded packets and packets out of the mesh with the proxy's own mark are left alone",
  async () => {
    for (const priority of [-151, -149]) {
      const pod = await podWith("--exclude-outbound-port", "8080");
      await addChain(pod, output(priority, "meta mark set 5"));
      expect(await asked(pod, c.address4)).toBe("in clear");
      expect(await asked(pod, `[${c.address6}]`)).toBe("in clear");
      expect(await asked(pod, outside[4])).toBe("in clear");
    }
  },
  hungMs,
);

test(
  "a carried connection does not continue in cleartext when marks start to be rewritten",
  async () => {
    const { a, b } = mesh;
    await mesh.startProxies();
    for (const rewriting of [
      output(-149, "meta mark set 0"),
      // The proxy's own mark.
      output(-149, "meta mark set 5"),
      output(300, "meta mark set 5"),
    ])
      for (const address of [b.address4, b.address6]) {
        const { client } = await mesh.connection(address);
        await client.say("carried");
        const { bytes } = await capture(a, async () => {
          await addChain(a, rewriting);
          await client.say("in-clear-or-never");
          // The kernel retransmits it again and again.
          expect(await asked(a, c.address4)).toBe("");
          await runScript(a, "nft delete table inet otheroutput");
        });
        expect(bytes.includes("in-clear-or-never")).toBe(false);
      }
    // A rewrite ahead of our chain: the connection is carried all the same.
    for (const address of [b.address4, b.address6]) {
      const { client, server } = await mesh.connection(address);
      const { bytes } = await capture(a, async () => {
        await addChain(a, output(-151, "meta mark set 5"));
        await client.say("never-in-clear");
        expect((await server.received(14)).text).toBe("never-in-clear");
        await runScript(a, "nft delete table inet otheroutput");
      });
      expect(bytes.includes("never-in-clear")).toBe(false);
    }
  },
  hungMs,
);

test(
  "what is left alone stays so where marks are rewritten",
  async () => {
    const rewriting = output(-149, "meta mark set 0");
    const excluded = [
      ["--exclude-outbound-port", "8080"],
      ["--exclude-cidr", `${c.address4},${c.address6}`],
      ["--exclude-uid", "0"],
      ["--only-uid", "9"],
    ];
    for (const options of excluded) {
      const pod = await podWith(...options);
      await addChain(pod, rewriting);
      expect(await asked(pod, c.address4)).toBe("in clear");
      expect(await asked(pod, `[${c.address6}]`)).toBe("in clear");
    }
    for (const options of [
      ["--exclude-inbound-port", "8080"],
      ["--inbound-port", "9"],
    ]) {
      const pod = await podWith(...options);
      await serveHttp(pod, 8080, "mine");
      await addChain(pod, rewriting);
      expect(await asked(c, pod.address4)).toBe("mine");
      expect(await asked(c, `[${pod.address6}]`)).toBe("mine");
    }
  },
  hungMs,
);

test(
  "a preexisting connection continues where marks are rewritten",
  async () => {
    const pod = mesh.extraPod();
    const listener = await c.agent.listen("::", 7000);
    for (const address of [c.address4, c.address6]) {
      const client = await pod.agent.connect(address, 7000);
      const server = await listener.accept();
      const proxy = await mesh.proxy(pod, ["--preexisting", "leave"]);
      await addChain(pod, output(-149, "meta mark set 0"));
      await client.say("still here");
      expect((await server.received(10)).text).toBe("still here");
      await server.say("and here");
      expect((await client.received(8)).text).toBe("and here");
      await runScript(pod, "nft delete table inet otheroutput");
      await proxy.end();
      await pod.run([...executable(), "rules", "--remove", "--force"]);
    }
  },
  hungMs,
);

test(
  "the proxy answers on its status port where marks are rewritten",
  async () => {
    const pod = await podWith();
    await addChain(pod, output(-149, "meta mark set 0"));
    const ask = ["curl", "--silent", "--max-time", "9", `http://${pod.address4}:15020/healthz`];
    expect((await c.run(ask)).code).toBe(0);
  },
  hungMs,
);

test.each(["", "--inbound-port=none"])(
  "connections that NAT redirects into the mesh do not begin in cleartext (%s)",
  async (option) => {
    const pod = await podWith(...(option === "" ? [] : [option]));
    expect(await asked(pod, outside[4])).toBe("in clear");
    expect(await asked(pod, `[${outside[6]}]`)).toBe("in clear");
    const rules = `ip daddr ${outside[4]} dnat ip to ${c.address4}; ip6 daddr ${outside[6]} dnat ip6 to ${c.address6}`;
    await addChain(pod, { hook: "output", type: "nat", priority: -100, rules });
    expect(await asked(pod, outside[4])).toBe("");
    expect(await asked(pod, `[${outside[6]}]`)).toBe("");
  },
  hungMs,
);

test(
  "connections that NAT redirects into the mesh are left alone if excluded or preexisting",
  async () => {
    const pod = mesh.extraPod();
    await runScript(pod, `ip route add ${outside[4]} via ${c.address4}`);
    const rules = `ip daddr ${outside[4]} tcp dport 7001 dnat ip to ${c.address4}; ip daddr 10.250.0.1 dnat ip to ${c.address4}`;
    await addChain(pod, { hook: "output", type: "nat", priority: -100, rules });
    await runScript(pod, `ip route add 10.250.0.1 via ${c.address4}`);
    const listener = await c.agent.listen("::", 7001);
    const client = await pod.agent.connect(outside[4], 7001);
    const server = await listener.accept();
    const options = ["--inbound-port", "none", "--preexisting", "leave"];
    await mesh.proxy(pod, [...options, "--exclude-cidr", "10.250.0.1"]);
    await client.say("still here");
    expect((await server.received(10)).text).toBe("still here");
    expect(await asked(pod, "10.250.0.1")).toBe("in clear");
  },
  hungMs,
);

test(
  "routing headers with another final destination do not bypass the rules",
  async () => {
    const script = `${import.meta.dir}/../support/steered.ts`;
    for (const [way, end] of [
      [outside[6], `[${c.address6}]:8080`],
      [outside[4], `${c.address4}:8080`],
    ] as const) {
      const { pod, proxy } = await podAndProxy();
      const listening = c.start(["tcpdump", "-nl", "--immediate-mode", "-i", "eth0", "dst", way]);
      await listening.says(/listening on/);
      expect((await pod.run(["bun", script, way, end])).stdout).toBe("syn-sent\n");
      expect(listening.output).not.toMatch(/Flags|RT6/);
      // Without the final check the packet arrives, once the repair process no longer restores the rule.
      process.kill(repairProcessOf(proxy), "SIGKILL");
      await proxy.says(/repair process/);
      await runScript(pod, "nft flush chain inet tls-tproxy postrouting");
      expect((await pod.run(["bun", script, way, end])).stdout).toBe("syn-sent\n");
      await listening.says(/Flags|RT6/);
    }
  },
  hungMs,
);
