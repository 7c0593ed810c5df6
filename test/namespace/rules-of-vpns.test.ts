/**
 * Rules of VPNs and Docker that drop packets on lo with certain source addresses: found by trial, named, and
 * satisfied.
 */
import { expect, test } from "bun:test";

import { kernelState } from "../support/kernel-state.ts";
import { Mesh } from "../support/mesh.ts";
import { executable, type Pod, type Running } from "../support/pods.ts";
import { metrics } from "../support/status.ts";

async function nft(pod: Pod, rules: string): Promise<void> {
  const { code, stderr } = await pod.run(["nft", "-f", "-"], `${rules}\n`);
  expect([code, stderr]).toEqual([0, ""]);
}

/** Like Tailscale's: packets with a VPN address must arrive on its interface, except for the pod's own on lo. */
async function guard(pod: Pod): Promise<void> {
  await nft(
    pod,
    `table inet vpn {
  chain ts-input {
    iifname "lo" ip saddr ${pod.address4} accept
    iifname "lo" ip6 saddr ${pod.address6} accept
    iifname != "eth0" ip saddr 10.77.0.0/24 drop
    iifname != "eth0" ip6 saddr fd77::/64 drop
  }
  chain INPUT {
    type filter hook input priority filter; policy accept;
    jump ts-input
  }
}`,
  );
}

const named =
  /W.*rules\] a rule of others \(table inet vpn, chain ts-input, rule handle \d+: [^)]* drop\) drops what is diverted to (\S+)/g;

function rangesNamed({ output }: Running): readonly string[] {
  return [...output.matchAll(named)].map(([, range]) => range ?? "").toSorted();
}

test.each([
  ["client", "dropped"],
  ["server", "dropped"],
  ["client and server", "kept"],
] as const)(
  "with a VPN's rules at %s peers connect, and see each other's addresses",
  async (where, privileges) => {
    const mesh = Mesh.create();
    if (where.includes("client")) await guard(mesh.a);
    if (where.includes("server")) await guard(mesh.b);
    await mesh.startProxies("--privileges", privileges);
    for (const family of ["address4", "address6"] as const) {
      const { client, server } = await mesh.connection(mesh.b[family], mesh.a, "hello");
      expect((await server.received(5)).text).toBe("hello");
      expect(server.peer).toContain(mesh.a[family]);
      expect(server.local).toContain(mesh.b[family]);
      await server.write(1_000_000);
      expect((await client.received(1_000_000)).bytes).toBe(1_000_000);
    }
    const [a, b] = mesh.proxies;
    if (a === undefined || b === undefined) throw new Error("no proxies");
    const both = ["10.77.0.0/24", "fd77::/64"];
    expect(rangesNamed(a)).toEqual(where.includes("client") ? both : []);
    expect(rangesNamed(b)).toEqual(where.includes("server") ? both : []);
    // The trials have dialled no destination.
    expect((await metrics(mesh.a)).get('tproxy_tcp_open_total{direction="outbound"}')).toBe(2);
  },
);

test.each(["client", "server", "client and server"])(
  "rules like wg-quick's, for the pod's own address, at %s",
  async (where) => {
    const mesh = Mesh.create();
    for (const [name, pod] of [
      ["client", mesh.a],
      ["server", mesh.b],
    ] as const) {
      if (!where.includes(name)) continue;
      await nft(
        pod,
        `table inet wg-quick-wg0 {
  chain preraw {
    type filter hook prerouting priority raw; policy accept;
    iifname != "eth0" ip daddr ${pod.address4} fib saddr type != local drop
    iifname != "eth0" ip6 daddr ${pod.address6} fib saddr type != local drop
  }
}`,
      );
    }
    await mesh.startProxies();
    for (const family of ["address4", "address6"] as const) {
      const { client, server } = await mesh.connection(mesh.b[family], mesh.a, "hello");
      expect((await server.received(5)).text).toBe("hello");
      expect([server.peer, server.local].join()).toContain(mesh.a[family]);
      expect(server.local).toContain(mesh.b[family]);
      await server.say("answer");
      expect((await client.received(6)).text).toBe("answer");
    }
  },
);

test("rules like Docker's in raw PREROUTING are satisfied too", async () => {
  const mesh = Mesh.create();
  await nft(
    mesh.a,
    `table ip raw {
  chain PREROUTING {
    type filter hook prerouting priority raw; policy accept;
    ip daddr 10.77.0.2-10.77.0.254 iifname != "eth0" drop
  }
}`,
  );
  await mesh.startProxies();
  const { server } = await mesh.connection(mesh.b.address4, mesh.a, "hello");
  expect((await server.received(5)).text).toBe("hello");
  expect(mesh.proxies[0]?.output).toMatch(
    /W.*table ip raw, chain PREROUTING, rule handle \d+: [^)]* drop\) drops.*work anyway/,
  );
});

test.each([
  [
    "a rule",
    'iifname "lo" meta mark & 0xf != 0 drop',
    "policy accept",
    /rule handle \d+: iifname "lo" meta mark .* drop\)/,
  ],
  ["a chain's policy", 'iifname "eth0" accept', "policy drop", /by its policy/],
] as const)("a rule that cannot be satisfied is named: %s", async (_, rule, policy, how) => {
  const mesh = Mesh.create();
  await nft(
    mesh.a,
    `table ip own {
  chain IN {
    type filter hook input priority filter; ${policy};
    ip saddr 127.0.0.0/8 accept
    ${rule}
  }
}`,
  );
  const proxy = await mesh.proxy(mesh.a);
  const line = await proxy.says(/W.*rules\].*\n/);
  expect(line).toContain("a rule of others (table ip own, chain IN, ");
  expect(line).toMatch(how);
  expect(line).toContain(
    "applications cannot connect there. Look at it (nft -a list chain ip own IN)",
  );
  expect((await mesh.a.run(["nft", "list", "tables"])).stdout).not.toMatch(/veil|trace/);
});

test("without interfering rules one line of the log says so", async () => {
  const mesh = Mesh.create();
  const { output } = await mesh.proxy(mesh.a);
  expect(output).toMatch(
    /I.*rules\] trial connections were diverted and answered: 10\.77\.0\.0\/24, fd77::\/64\n/,
  );
  expect((await metrics(mesh.a)).get('tproxy_tcp_open_total{direction="outbound"}')).toBe(0);
  expect((await mesh.a.run(["nft", "list", "tables"])).stdout).toBe("table inet tls-tproxy\n");
});

test("a start without the VPN removes the other addresses again, and so does removing the rules", async () => {
  const mesh = Mesh.create();
  const tables = async (): Promise<string> => (await mesh.a.run(["nft", "list", "tables"])).stdout;
  await guard(mesh.a);
  const proxy = await mesh.proxy(mesh.a);
  expect(await tables()).toContain("tls-tproxy-veil");
  await proxy.end("SIGKILL");
  await mesh.a.run([...executable(), "rules", "--remove"]);
  expect(await tables()).toBe("table inet vpn\n");
  const again = await mesh.proxy(mesh.a);
  expect(await tables()).toContain("tls-tproxy-veil");
  await again.end("SIGKILL");
  await mesh.a.run(["nft", "delete", "table", "inet", "vpn"]);
  await mesh.proxy(mesh.a);
  expect(await tables()).toBe("table inet tls-tproxy\n");
});

test("check --trial names the rule and leaves nothing behind, with and without a running proxy", async () => {
  const mesh = Mesh.create();
  const pod = mesh.a;
  const check = [...executable(), "check", "--trial"];
  const works = "✓ trial connections: 10.77.0.0/24, fd77::/64: diverted and answered";
  const state = await kernelState(pod);
  const first = (await pod.run(check)).stdout;
  expect(first).toContain(works);
  expect(first).toMatch(
    /✓ trial connections: 10\.0\.0\.0\/8, .*: not tried, because there is no route/,
  );
  expect(await kernelState(pod)).toBe(state);

  await guard(pod);
  const guarded = await kernelState(pod);
  const found = (await pod.run(check)).stdout;
  expect(found).toMatch(
    /! trial connections: a rule of others \(table inet vpn, chain ts-input, rule handle \d+: [^)]* drop\) drops/,
  );
  expect(await kernelState(pod)).toBe(guarded);
  // Plain check changes nothing, and says what it has not tried.
  expect((await pod.run([...executable(), "check"])).stdout).toContain(
    "trial connections: not made",
  );

  await mesh.startProxies();
  const beside = await kernelState(pod);
  expect((await pod.run(check)).stdout).toContain(works);
  expect(await kernelState(pod)).toBe(beside);
  expect((await metrics(pod)).get('tproxy_tcp_open_total{direction="outbound"}')).toBe(0);
  const { server } = await mesh.connection(mesh.b.address4, pod, "hello");
  expect((await server.received(5)).text).toBe("hello");
});

test("the next check removes what a killed one left behind", async () => {
  const mesh = Mesh.create();
  const clean = await kernelState(mesh.a);
  const leave = async (): Promise<void> => {
    await nft(mesh.a, "table inet tls-tproxy-trial { }\ntable inet tls-tproxy-trace { }");
    for (const of of ["-4", "-6"]) {
      const rule = ["rule", "add", "fwmark", "0x5/0x1f", "iif", "lo", "lookup", "29809"];
      await mesh.a.run(["ip", of, ...rule, "priority", "99"]);
      await mesh.a.run([
        "ip",
        of,
        "route",
        "add",
        "local",
        "default",
        "dev",
        "lo",
        "table",
        "29809",
      ]);
    }
  };
  await leave();
  expect(await kernelState(mesh.a)).not.toBe(clean);
  await mesh.a.run([...executable(), "check", "--trial"]);
  expect(await kernelState(mesh.a)).toBe(clean);
});

test("rules that are rewritten after a flush take the VPN's rules into account again", async () => {
  const mesh = Mesh.create();
  await guard(mesh.a);
  await mesh.startProxies("--privileges", "kept");
  const rules = (await mesh.a.run(["nft", "list", "table", "inet", "vpn"])).stdout;
  await nft(mesh.a, `flush ruleset\n${rules}`);
  await mesh.proxies[0]?.says(/rules were restored.*\n[^]*work anyway/);
  const { server } = await mesh.connection(mesh.b.address4, mesh.a, "hello");
  expect((await server.received(5)).text).toBe("hello");
  expect(server.peer).toContain(mesh.a.address4);
});
