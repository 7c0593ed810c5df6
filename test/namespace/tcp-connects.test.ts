/**
 * What a client sees if the destination is unreachable: without a proxy and through both. A client always connects to
 * its proxy first.
 */
import { beforeAll, describe, expect, test } from "bun:test";

import { alike, attempted, must, Stage, ways, type Sight } from "../support/endings.ts";
import type { AgentListener } from "../support/application.ts";
import type { Mesh } from "../support/mesh.ts";

type Attempt = {
  readonly event: string;
  readonly to: (mesh: Mesh) => string;
  readonly sight: Sight;
  /** Which proxy logs the reason, and in which words: the client cannot be told. */
  readonly log?: readonly [proxy: "client's" | "server's", words: string];
};

/** The proxy has accepted the connection before it can know: all that it can send is an RST. */
function resetFor(code: string): Sight {
  return {
    "without a proxy": `${code} at connect`,
    "through both proxies": "connected; 0 bytes, ECONNRESET",
  };
}

const attempts: readonly Attempt[] = [
  {
    event: "the port has no listener",
    to: ({ b }) => `${b.address4}:81`,
    sight: resetFor("ECONNREFUSED"),
    log: ["server's", "connection refused"],
  },
  {
    event: "the port has no listener, over IPv6",
    to: ({ b }) => `[${b.address6}]:81`,
    sight: resetFor("ECONNREFUSED"),
    log: ["server's", "connection refused"],
  },
  {
    event: "the port has no listener, and the server no proxy",
    to: ({ c }) => `${c.address4}:81`,
    sight: resetFor("ECONNREFUSED"),
    log: ["client's", "connection refused"],
  },
  {
    event: "no host on the link has the address",
    to: () => "10.77.0.99:80",
    sight: resetFor("EHOSTUNREACH"),
    log: ["client's", "no route to host"],
  },
  {
    event: "a firewall there reports by ICMP that the host is unreachable",
    to: ({ c }) => `${c.address4}:91`,
    sight: resetFor("EHOSTUNREACH"),
    log: ["client's", "no route to host"],
  },
  {
    event: "a firewall there drops all packets: a black hole",
    to: ({ c }) => `${c.address4}:92`,
    sight: resetFor("ETIMEDOUT"),
    log: ["client's", "connection timed out"],
  },
  {
    event: "there is no route",
    to: () => "10.99.0.1:80",
    sight: alike("ENETUNREACH at connect"),
  },
  {
    event: "a route says unreachable",
    to: () => "10.99.1.1:80",
    sight: alike("EHOSTUNREACH at connect"),
  },
  {
    event: "a route says prohibit",
    to: () => "10.99.2.1:80",
    sight: alike("EACCES at connect"),
  },
  {
    event: "a route says blackhole",
    to: () => "10.99.3.1:80",
    sight: alike("EINVAL at connect"),
  },
  {
    event: "a routing rule prohibits it for the proxy only",
    to: ({ c }) => `${c.address4}:93`,
    sight: {
      "without a proxy": "connected; 5 bytes, end",
      "through both proxies": "connected; 0 bytes, ECONNRESET",
    },
    log: ["client's", "destination is prohibited by a route or a firewall"],
  },
];

/** Prepares the rows' obstacles. The kernel gives up sooner: two SYNs, and 200 ms between neighbour solicitations. */
async function hinder({ a, c }: Mesh): Promise<void> {
  await must(a, "ip route add unreachable 10.99.1.0/24");
  await must(a, "ip route add prohibit 10.99.2.0/24");
  await must(a, "ip route add blackhole 10.99.3.0/24");
  await must(a, `ip rule add priority 50 fwmark 5/0xf to ${c.address4} dport 93 prohibit`);
  await must(a, "ip ntable change name arp_cache dev eth0 retrans 200");
  await must(a, "sysctl -qw net.ipv4.tcp_syn_retries=1");
  const rules = "tcp dport 91 reject with icmp host-unreachable; tcp dport 92 drop;";
  const chain = `chain input { type filter hook input priority 0; ${rules} };`;
  await must(c, "nft -f -", `table ip hinder { ${chain} }\n`);
}

/** A server that sends five bytes to each client. */
function greet(listener: AgentListener): void {
  const welcome = async (): Promise<void> => {
    const socket = await listener.accept();
    await socket.say("hello");
    await socket.end();
    await welcome();
  };
  void welcome().catch(() => undefined);
}

describe.each(ways)("%s", (way) => {
  const stage = new Stage();

  beforeAll(async () => {
    await stage.start(way, "--connect-timeout", "1s");
    await hinder(stage.mesh);
    greet(await stage.mesh.c.agent.listen("::", 93));
  });

  test.each(attempts.map((attempt) => [attempt.event, attempt] as const))(
    "%s",
    async (_, { to, sight, log }) => {
      const address = to(stage.mesh);
      expect(await attempted(stage.mesh.a, address)).toBe(sight[way]);
      if (log === undefined || way === "without a proxy") return;
      const proxy = stage.mesh.proxies[log[0] === "client's" ? 0 : 1];
      await proxy?.says(new RegExp(`destination \\S+:${address.split(":").at(-1)}\\]?: ${log[1]}`));
    },
  );
});
