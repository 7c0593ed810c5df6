/** A sidecar with a thousand connections needs no more than 64 MiB; its memory at rest is printed but not checked. */
import { expect, test } from "bun:test";

import { Cluster, type Container } from "../support/containers.ts";

const cluster = await Cluster.create();
const run = ["--memory", "64m", "--memory-swap", "64m"];
const [a, b] = await Promise.all([cluster.pod("a"), cluster.pod("b")]);
const sidecars = await Promise.all(
  [a, b].map(async (pod) => await pod.proxy({ credentials: cluster.certificate(pod), run })),
);

test("1,000 connections are opened, used and closed within 64 MiB on both sides", async () => {
  await report("at rest");
  const [client, server] = [a.agent(), b.agent()];
  const listener = await server.listen("::", 9000);
  const pairs = [];
  for (let made = 0; made < count; made += width) {
    const connecting = Array.from(
      { length: width },
      async () => await client.connect(b.address4, 9000),
    );
    const accepting = Array.from({ length: width }, async () => await listener.accept());
    const [clients, servers] = await Promise.all([Promise.all(connecting), Promise.all(accepting)]);
    pairs.push({ clients, servers });
  }
  for (const { clients, servers } of pairs) {
    await Promise.all(clients.map(async (socket) => await socket.say("hello")));
    const heard = await Promise.all(servers.map(async (socket) => await socket.received(5)));
    expect(heard.every(({ text }) => text === "hello")).toBe(true);
  }
  await report(`with ${count} connections`);
  expect((await a.curl(`http://${b.address4}:8080/`)).stdout).toBe("hello from b\n");
  for (const { clients, servers } of pairs) {
    await Promise.all([...clients, ...servers].map(async (socket) => await socket.end()));
    const ends = await Promise.all(servers.map(async (socket) => await socket.finish()));
    expect(ends.every(({ ending }) => ending === "end")).toBe(true);
  }
  await report("afterwards");
  for (const sidecar of sidecars)
    expect(await sidecar.inspect("{{.State.Running}} {{.State.OOMKilled}} {{.RestartCount}}")).toBe(
      "true false 0",
    );
});

async function report(when: string): Promise<void> {
  const said = await Promise.all(sidecars.map(memoryOf));
  console.log(`memory ${when}: ${said.join("; ")}`);
}

async function memoryOf(sidecar: Container): Promise<string> {
  const fields = await cluster.status(sidecar);
  const megabytes = (field: string): string =>
    (Number.parseInt(fields.get(field) ?? "") / 1024).toFixed(1);
  return `${megabytes("VmRSS")} MiB resident, ${megabytes("RssAnon")} of it anonymous`;
}

const count = 1000;
const width = 20;
