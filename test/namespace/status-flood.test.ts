/** Whatever strangers do to the status port, probes are answered and relaying is not delayed. */
import { beforeAll, expect, test } from "bun:test";

import type { AgentSocket } from "../support/application.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { curl } from "../support/programs.ts";

const mesh = Mesh.create();
const { b, c } = mesh;
const kubelet = mesh.extraPod();
const port = 15_020;
let proxy: Running;

beforeAll(async () => {
  proxy = await b.proxy(flagsOf(mesh.credentials(b)));
});

async function asked(from: Pod, path: string, host = b.address4): Promise<string> {
  const { output } = await curl(from, "--max-time", "10", `http://${host}:${port}${path}`);
  return output;
}

/** Opens connections that send this text and no more; those reset at once do not count. */
async function holding(count: number, said: string): Promise<readonly AgentSocket[]> {
  const sockets: AgentSocket[] = [];
  for (let index = 0; index < count; index += 1) {
    try {
      const socket = await c.agent.connect(b.address4, port);
      sockets.push(socket);
      if (said !== "") await socket.say(said);
    } catch (error) {
      expect(String(error)).toMatch(/ECONNRESET|EPIPE/);
    }
  }
  return sockets;
}

test.each([
  ["nothing", ""],
  ["half a request", "GET /healthz HTTP/1.1\r\nHost: a"],
  ["a request, and read no answer", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"],
])("200 connections of one client that send %s: probes are answered", async (_, said) => {
  const sockets = await holding(200, said);
  for (const host of [b.address4, `[${b.address6}]`])
    expect(await asked(kubelet, "/readyz", host)).toBe("ready\n");
  expect(await asked(b, "/healthz", "127.0.0.1")).toBe("ok\n");
  for (const socket of sockets) await socket.reset().catch(() => undefined);
});

test.each([
  ["byte by byte", Array.from({ length: 200 }, () => "G")],
  ["with a header that never ends", Array.from({ length: 12 }, () => `x: ${"y".repeat(1000)}\r\n`)],
])("a request %s ends with 400, and the rest of it is not buffered", async (_, parts) => {
  const socket = await c.agent.connect(b.address4, port);
  await socket.say("GET /healthz HTTP/1.1\r\n");
  for (const part of parts) await socket.say(part);
  expect((await socket.finish()).text).toMatch(/^HTTP\/1\.1 400|^$/);
});

test("of several requests sent together the first is answered, and the connection ends", async () => {
  const one = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
  const socket = await c.agent.connect(b.address4, port);
  await socket.say(one.repeat(20));
  const { text } = await socket.finish();
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  expect(text).toContain("connection: close");
});

test("other pods get metrics rendered once a second, this pod gets current ones", async () => {
  const opened = /^tproxy_tcp_open_total\{direction="inbound"\} (\d+)$/m;
  const count = async (from: Pod, host: string): Promise<number> =>
    Number(opened.exec(await asked(from, "/metrics", host))?.[1] ?? Number.NaN);
  const before = await count(b, "127.0.0.1");
  // The proxy must end it: a client that resets at once may be gone before accept, and then is not counted.
  const stranger = await c.agent.connect(b.address4, 8080);
  await stranger.say("GET / HTTP/1.0\r\n\r\n");
  await stranger.finish();
  while ((await count(b, "127.0.0.1")) === before);
  while ((await count(kubelet, b.address4)) === before);
});

test("a flood is limited: the excess is reset, one line says so, and a probe is answered at once", async () => {
  const flood = `
    const net = require("node:net");
    let done = 0, lost = 0;
    const end = Date.now() + 4000;
    const go = () => {
      if (Date.now() > end) return;
      const socket = net.connect(${port}, "${b.address4}", () => socket.write("GET /metrics HTTP/1.0\\r\\n\\r\\n"));
      socket.on("error", () => { lost += 1; });
      socket.on("data", () => undefined);
      socket.on("end", () => { done += 1; });
      socket.on("close", go);
    };
    for (let index = 0; index < 200; index += 1) go();
    process.on("exit", () => console.log(JSON.stringify({ done, lost })));`;
  const running = c.start(["bun", "-e", flood]);
  await proxy.says(
    /^W.* status\] too many requests, the last one from 10\.77\.0\.\d+: they are reset/m,
  );
  expect(await asked(kubelet, "/readyz")).toBe("ready\n");
  await running.says(/"done"/);
  const { done, lost } = JSON.parse(running.output) as { done: number; lost: number };
  expect(lost).toBeGreaterThan(0);
  expect(done).toBeGreaterThan(0);
});
