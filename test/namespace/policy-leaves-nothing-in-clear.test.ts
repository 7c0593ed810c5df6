/** When a new policy excludes more, no byte of a formerly diverted connection is sent in cleartext. */
import { expect, test } from "bun:test";

import type { AgentSocket } from "../support/application.ts";
import { capture, strayData } from "../support/capture.ts";
import { Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { metricGrows, metricOnce } from "../support/status.ts";

const marker = "not in clear ";
const opened = 'tproxy_tcp_open_total{direction="inbound"}';
const connectionsATurn = 20;
const replaced = 'tproxy_policy_reloads_total{result="replaced"}';

const both = ["kept", "dropped"];

/** Pod a's policy changes; pod b accepts any connection. */
async function stage(
  privileges: string,
): Promise<{ mesh: Mesh; policy: PolicyFile; excluding: string }> {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const open = new PolicyFile("inbound: { mode: permissive }");
  mesh.proxies.push(
    await mesh.proxy(mesh.a, [...policy.flags, "--privileges", privileges]),
    await mesh.proxy(mesh.b, open.flags),
  );
  return { mesh, policy, excluding: `outbound: { exclude: [${mesh.b.address4}] }` };
}

test.each(both)(
  "privileges %s: live connections to an excluded destination are reset before the rules exclude it",
  async (privileges) => {
    const { mesh, policy, excluding } = await stage(privileges);
    const clients: AgentSocket[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      const { client, server } = await mesh.connection();
      client.chatter(marker);
      await server.received(1_000_000);
      clients.push(client);
    }
    const { bytes } = await capture(mesh.a, async () => {
      policy.write(excluding);
      for (const client of clients) await client.finish();
      await metricOnce(mesh.a, replaced, (count) => count === 1);
    });
    expect(bytes.includes(marker)).toBe(false);
    const revoked = 'tproxy_tcp_close_total{direction="outbound",how="revoked"}';
    await metricOnce(mesh.a, revoked, (count) => count === 10);
  },
);

test.each(both)(
  "privileges %s: connections that begin at full rate meanwhile leak nothing either",
  async (privileges) => {
    const { mesh, policy, excluding } = await stage(privileges);
    const script = `${import.meta.dir}/../support/load.ts`;
    await mesh.b.start(["bun", script, "serve"]).says(/serving/);
    const { lines } = await capture(mesh.a, async () => {
      const load = mesh.a.start(["bun", script, "connections", "100000", mesh.b.address4]);
      for (let turn = 1; turn <= 12; turn += 1) {
        policy.write(turn % 2 === 1 ? excluding : "{}");
        await metricOnce(mesh.a, replaced, (count) => count === turn);
        await metricGrows(mesh.b, opened, connectionsATurn);
      }
      await load.end("SIGKILL");
    });
    // Each of them begins with at least three packets.
    expect(lines.length).toBeGreaterThan(12 * 3 * connectionsATurn);
    expect(strayData(lines, mesh.a.address4)).toEqual([]);
  },
);

const changes = {
  "whose client is excluded": (client: string) => `outbound: { exclude: [${client}] }`,
  "whose port is passed through from now on": () =>
    "inbound: { ports: { 8080: { mode: passthrough } } }",
};
const answering = both.flatMap((privileges) =>
  Object.entries(changes).map(([whose, change]) => [privileges, whose, change] as const),
);

test.each(answering)(
  "privileges %s: an application's answer on a connection %s is not sent in cleartext either",
  async (privileges, _, change) => {
    const mesh = Mesh.create();
    const policy = new PolicyFile("{}");
    mesh.proxies.push(
      await mesh.proxy(mesh.a),
      await mesh.proxy(mesh.b, [...policy.flags, "--privileges", privileges]),
    );
    const servers: AgentSocket[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      const { client, server } = await mesh.connection();
      expect(server.peer).toContain(mesh.a.address4);
      server.chatter(marker);
      await client.received(1_000_000);
      servers.push(server);
    }
    const { bytes } = await capture(mesh.b, async () => {
      policy.write(change(mesh.a.address4));
      for (const server of servers) await server.finish();
      await metricOnce(mesh.b, replaced, (count) => count === 1);
    });
    expect(bytes.includes(marker)).toBe(false);
    const revoked = 'tproxy_tcp_close_total{direction="inbound",how="revoked"}';
    await metricOnce(mesh.b, revoked, (count) => count === 10);
  },
);
