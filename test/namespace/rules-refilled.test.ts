/**
 * Sets that packets fill, when the table is rewritten or another program empties them: with --outbound-port no answer
 * of an application on a live inbound connection leaves in cleartext.
 */
import { expect, test } from "bun:test";

import type { AgentSocket } from "../support/application.ts";
import { capture, strayData } from "../support/capture.ts";
import { runScript } from "../support/foreign.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { echoOdd, fromPort, serveOdd, shared } from "../support/odd-sockets.ts";
import { executable, type Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { metricOnce } from "../support/status.ts";

const replaced = 'tproxy_policy_reloads_total{result="replaced"}';
const repairs = "tproxy_rules_repairs_total";
const scope = ["--outbound-port", "5432"] as const;

type Live = {
  readonly mesh: Mesh;
  readonly policy: PolicyFile;
  /** Kills b's proxy, and starts another one. */
  readonly restart?: () => Promise<void>;
};
type Event = (live: Live) => Promise<unknown>;

const scoped = "outbound: { ports: [5432] }";
const policyChange: Event = async ({ mesh: { b }, policy }) => {
  policy.write("outbound: { ports: [5432], exclude: [10.99.0.0/24] }");
  await metricOnce(b, replaced, (count) => count === 1);
};
/** Sets of another kind, then more chains and sets, then fewer. */
const otherShapes: Event = async ({ mesh: { b }, policy }) => {
  const passing = "inbound: { ports: { 22: { mode: passthrough } } }";
  const range = "outbound: { ports: [5000-6000] }";
  const shapes = [range, `${range}\n${passing}`, `${scoped}\n${passing}`, scoped];
  for (const [at, text] of shapes.entries()) {
    policy.write(text);
    await metricOnce(b, replaced, (count) => count === at + 1);
  }
};
const repairOf =
  (script: string): Event =>
  async ({ mesh: { b } }) => {
    await runScript(b, script);
    await metricOnce(b, repairs, (count) => count > 0);
  };
const emptied =
  (...sets: readonly string[]): Event =>
  async ({ mesh: { b } }) =>
    await runScript(b, sets.map((set) => `nft flush set inet tls-tproxy ${set}`).join("; "));

/** Where the connections live on; elsewhere they may be reset, but must not hang. */
type Lives = "everywhere" | "dropped" | "nowhere";
const events: Readonly<Record<string, readonly [Event, Lives]>> = {
  "a policy change": [policyChange, "everywhere"],
  "policy changes that need other sets and chains": [otherShapes, "everywhere"],
  "a chain of others in the table": [repairOf("nft add chain inet tls-tproxy stranger"), "dropped"],
  "a deleted rule": [repairOf("nft flush chain inet tls-tproxy output"), "dropped"],
  "a flushed ruleset": [repairOf("nft flush ruleset"), "dropped"],
  "a deleted table": [repairOf("nft delete table inet tls-tproxy"), "dropped"],
  "a deleted routing rule": [repairOf("ip rule del pref 100"), "nowhere"],
  "a deleted alias": [repairOf("ip addr del 169.254.77.1/32 dev lo"), "nowhere"],
  "another proxy after kill -9": [async ({ restart }) => await restart?.(), "nowhere"],
  "clients emptied": [emptied("seen-clients4", "seen-clients6"), "everywhere"],
  "ports emptied": [emptied("served-ports"), "nowhere"],
  "both emptied": [emptied("seen-clients4", "seen-clients6", "served-ports"), "nowhere"],
};

/** Applications that listen on all addresses, and on one of each family. */
const hosts = (pod: Pod): readonly (readonly [listen: string, dial: string, port: number])[] => [
  ["::", pod.address4, 8080],
  ["::", pod.address6, 8081],
  [pod.address4, pod.address4, 8082],
  [pod.address6, pod.address6, 8083],
];

type Pair = { readonly client: AgentSocket; readonly server: AgentSocket };

async function connect(mesh: Mesh): Promise<readonly Pair[]> {
  return await Promise.all(
    hosts(mesh.b).map(async ([listen, dial, port]) => {
      const listener = await mesh.b.agent.listen(listen, port);
      const client = await mesh.a.agent.connect(dial, port);
      const server = await listener.accept();
      // The application sees the client's own address, or else its answers never leave the pod.
      expect(server.peer).toContain(dial.includes(":") ? mesh.a.address6 : mesh.a.address4);
      return { client, server };
    }),
  );
}

/** What leaves in cleartext when the applications answer after the event; fails if a connection hangs. */
async function leaked(live: Live, event: Event, lives: boolean): Promise<void> {
  const { lines } = await capture(live.mesh.b, async () => {
    const pairs = await connect(live.mesh);
    await event(live);
    for (const { client, server } of pairs) {
      const answer = server.say("an answer in cleartext".repeat(100)).catch(() => undefined);
      if (lives) expect((await client.received(2000)).bytes).toBeGreaterThanOrEqual(2000);
      else await Promise.race([client.received(2000), client.finish()]);
      await answer;
    }
  });
  for (const address of [live.mesh.b.address4, live.mesh.b.address6])
    expect(strayData(lines, address)).toEqual([]);
}

const cases = ["kept", "dropped"].flatMap((privileges) =>
  Object.entries(events).map(([name, [event, where]]) => {
    const lives = where === "everywhere" || where === privileges;
    return [privileges, name, event, lives] as const;
  }),
);

test.each(cases)("privileges %s: %s", async (privileges, _, event, lives) => {
  const mesh = Mesh.create();
  const policy = new PolicyFile(scoped);
  await mesh.proxy(mesh.a);
  const options = [...policy.flags, "--privileges", privileges];
  const flags = [...flagsOf(mesh.credentials(mesh.b)), ...options];
  const proxy = await mesh.b.proxy(flags);
  const restart = async (): Promise<void> => {
    await proxy.end("SIGKILL");
    await mesh.b.proxy(flags);
  };
  await leaked({ mesh, policy, restart }, event, lives);
});

test.each(["kept", "dropped"])(
  "privileges %s: a policy that adds the scope while connections are open",
  async (privileges) => {
    const mesh = Mesh.create();
    const policy = new PolicyFile("{}");
    await mesh.proxy(mesh.a);
    await mesh.proxy(mesh.b, [...policy.flags, "--privileges", privileges]);
    const adds: Event = async () => {
      policy.write(scoped);
      await metricOnce(mesh.b, replaced, (count) => count === 1);
    };
    await leaked({ mesh, policy }, adds, true);
  },
);

const atOnce = ["a policy change", "a chain of others in the table"].flatMap((name) =>
  ["kept", "dropped"].map((privileges) => [privileges, name] as const),
);

test.each(atOnce)(
  "privileges %s: applications that send without pause: %s",
  async (privileges, name) => {
    const mesh = Mesh.create();
    const policy = new PolicyFile(scoped);
    await mesh.proxy(mesh.a);
    await mesh.proxy(mesh.b, [...policy.flags, "--privileges", privileges]);
    const { lines } = await capture(mesh.b, async () => {
      const pairs = await connect(mesh);
      for (const { client, server } of pairs) {
        server.chatter("an answer in cleartext");
        await client.received(1_000_000);
      }
      await events[name]?.[0]({ mesh, policy });
      for (const { server } of pairs) await server.reset();
    });
    for (const address of [mesh.b.address4, mesh.b.address6])
      expect(strayData(lines, address)).toEqual([]);
  },
);

test("rules of another process that are applied again", async () => {
  const mesh = Mesh.create();
  const apply = async (): Promise<void> => {
    const { code, stderr } = await mesh.b.run([...executable(), "rules", "--apply", ...scope]);
    if (code !== 0) throw new Error(stderr);
  };
  await apply();
  await mesh.proxy(mesh.a);
  await mesh.proxy(mesh.b, [...scope, "--rules", "external"]);
  await leaked({ mesh, policy: new PolicyFile("{}") }, apply, true);
});

const outside = { 4: "198.51.100.9", 6: "2001:db8::9" } as const;

/** Connections that an application begins at the port where it also listens: outside the mesh, and to another port. */
async function dialFromListener(mesh: Mesh): Promise<readonly AgentSocket[]> {
  const { b, c } = mesh;
  const places = [
    { host: outside[4], port: 7001 },
    { host: outside[6], port: 7002 },
    { host: c.address4, port: 7003 },
    { host: c.address6, port: 7004 },
  ];
  const servers = await Promise.all(
    places.map(async (place) => {
      const listener = await c.agent.listen(place.host, place.port);
      echoOdd(b, place, shared, fromPort(9000));
      const server = await listener.accept();
      await server.say("one");
      await server.received(3);
      return server;
    }),
  );
  const { stdout } = await b.run(["ss", "-Htn", "state", "established", "sport", "=", ":9000"]);
  expect(stdout.trimEnd().split("\n")).toHaveLength(places.length);
  return servers;
}

const lasting: Readonly<Record<string, Event>> = {
  "a policy change": policyChange,
  "policy changes that need other sets and chains": otherShapes,
  "a chain of others in the table": repairOf("nft add chain inet tls-tproxy stranger"),
  "a deleted rule": repairOf("nft flush chain inet tls-tproxy output"),
};

async function stageOfDialler(): Promise<Mesh> {
  const mesh = Mesh.create();
  const { b, c } = mesh;
  await runScript(
    c,
    `ip addr add ${outside[4]}/32 dev lo; ip addr add ${outside[6]}/128 dev eth0 nodad`,
  );
  await runScript(
    b,
    "ip route add 198.51.100.0/24 dev eth0; ip -6 route add 2001:db8::/64 dev eth0",
  );
  for (const host of ["0.0.0.0", "::"])
    await serveOdd(b, { host, port: 9000 }, shared, ...(host === "::" ? ["41:26:1"] : []));
  return mesh;
}

async function expectAnswers(servers: readonly AgentSocket[]): Promise<void> {
  for (const server of servers) {
    await server.say("two");
    expect((await server.received(6)).text).toBe("onetwo");
  }
}

test.each(
  ["kept", "dropped"].flatMap((privileges) =>
    Object.entries(lasting).map(([name, event]) => [privileges, name, event] as const),
  ),
)(
  "privileges %s: connections from a port where the application listens go on: %s",
  async (privileges, _, event) => {
    const mesh = await stageOfDialler();
    const policy = new PolicyFile(scoped);
    await mesh.proxy(mesh.b, [...policy.flags, "--privileges", privileges]);
    const servers = await dialFromListener(mesh);
    await event({ mesh, policy });
    await expectAnswers(servers);
  },
);

test.each(["kept", "dropped"])(
  "privileges %s: connections from a port where the application listens go on after a restart",
  async (privileges) => {
    const mesh = await stageOfDialler();
    const options = [...flagsOf(mesh.credentials(mesh.b)), ...scope, "--privileges", privileges];
    const proxy = await mesh.b.proxy(options);
    const servers = await dialFromListener(mesh);
    await proxy.end("SIGKILL");
    await mesh.b.proxy(options);
    await expectAnswers(servers);
  },
);

test.each([
  ["kept", "nft flush ruleset"],
  ["kept", "nft add chain inet tls-tproxy stranger"],
  ["dropped", "nft add chain inet tls-tproxy stranger"],
  ["dropped", "nft flush chain inet tls-tproxy output"],
])(
  "privileges %s: connections from before the start that were left go on after %s",
  async (privileges, script) => {
    const mesh = Mesh.create();
    const { b, c } = mesh;
    const listeners = [await b.agent.listen("::", 8090), await c.agent.listen("::", 8090)] as const;
    const clients = [
      await c.agent.connect(b.address4, 8090),
      await c.agent.connect(b.address6, 8090),
      await b.agent.connect(c.address4, 8090),
      await b.agent.connect(c.address6, 8090),
    ];
    const servers = await Promise.all(
      [0, 0, 1, 1].map(async (at) => await listeners[at]?.accept()),
    );
    await mesh.proxy(b, ["--privileges", privileges, "--preexisting", "leave"]);
    await runScript(b, script);
    await metricOnce(b, repairs, (count) => count > 0);
    for (const client of clients) await client.say("from the client");
    for (const server of servers) {
      expect((await server?.received(15))?.text).toBe("from the client");
      await server?.say("from the server");
    }
    for (const client of clients) expect((await client.received(15)).text).toBe("from the server");
  },
);
