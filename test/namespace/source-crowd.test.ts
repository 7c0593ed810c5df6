/** Many client addresses and ports at once, and the same one repeatedly. */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { ask, askOnce, serveMirror, sourcesCounted } from "../support/sights.ts";

const mesh = Mesh.create();
const many = 5000;

beforeAll(async () => {
  await mesh.startProxies("--handshake-timeout", "60s", "--log-lines", "10");
  await serveMirror(mesh.b, 8080);
  await serveMirror(mesh.b, 8090, "::", "hang-up");
});

test("a port that is reused at once is seen each time", async () => {
  for (let turn = 0; turn < 3; turn += 1) {
    const question = { host: mesh.b.address4, port: 8090, from: 9900, hearsOut: true };
    const { own, seen, error } = await askOnce(mesh.a, question);
    expect([own, seen, error]).toEqual([`${mesh.a.address4}:9900`, own, ""]);
  }
});

test("five thousand simultaneous connections to one port are all seen by address and port", async () => {
  const question = { host: mesh.b.address4, port: 8080, count: many };
  const { sights, running } = await ask(mesh.a, question);
  expect(sights.filter(({ error }) => error !== "")).toEqual([]);
  expect(sights.filter(({ own, seen }) => own !== seen)).toEqual([]);
  expect(new Set(sights.map(({ seen }) => seen)).size).toBe(many);
  expect((await sourcesCounted(mesh.b))["ip-port/as-asked"]).toBeGreaterThanOrEqual(many);
  // The application can still use these ports for its own connections.
  const back = await mesh.b.agent.attempt(mesh.c.address4, 9);
  expect(back).toBe("ECONNRESET");
  await running.end();
});
