/** Either end may leave at any moment of the connection set-up, and nothing is left of the connection. */
import { expect, test } from "bun:test";

import { applicationPort, Mesh } from "../support/mesh.ts";
import type { AgentSocket } from "../support/application.ts";
import type { Pod } from "../support/pods.ts";

const rounds = 40;

/** Ways to leave, each at another moment; none waits for anything that may not come. */
const departures: readonly ((socket: AgentSocket) => Promise<void>)[] = [
  async (socket) => socket.reset(),
  async (socket) => socket.end(),
  async (socket) => {
    await socket.say("\u0016\u0003\u0001\u0002\u0000");
    await socket.reset();
  },
  async (socket) => {
    await socket.say("GET / HTTP/1.1\r\n\r\n");
    await socket.end();
  },
  async (socket) => {
    await socket.write(70_000);
    await socket.reset();
  },
];

async function visit(from: Pod, host: string, round: number): Promise<void> {
  const socket = await from.agent.connect(host, applicationPort);
  await departures[round % departures.length]?.(socket);
  await socket.finish();
}

test("clients that leave at once, from a pod with a proxy and from outside", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const listener = await mesh.b.agent.listen("::", applicationPort);
  void (async () => {
    for (let round = 0; ; round += 1) {
      const socket = await listener.accept();
      // The application leaves in the same way; the socket may be gone already.
      await (round % 2 === 0 ? socket.reset() : socket.end()).catch(() => undefined);
    }
  })().catch(() => undefined);
  for (let round = 0; round < rounds; round += 1)
    await Promise.allSettled(
      [mesh.a, mesh.c].flatMap((pod) =>
        [mesh.b.address4, mesh.b.address6].flatMap((host) =>
          departures.map(async (_, way) => visit(pod, host, way)),
        ),
      ),
    );
  expect(await mesh.socketsLeft()).toEqual([]);
  for (const proxy of mesh.proxies) {
    expect(proxy.output).toMatch(/^I.* (Closed|Refused|Failed)/m);
    expect(proxy.output).not.toMatch(/^[EF]\d/m);
    expect(proxy.child.exitCode).toBeNull();
  }
});
