/** If the client's port cannot be preserved, its address is; nothing hangs, and the metric gives the reason. */
import { expect, test } from "bun:test";

import { parseSocketAddress } from "../../src/net/address.ts";
import { encodeHeader } from "../../src/original-source/proxy-header.ts";
import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";
import {
  askOnce,
  serveMirror,
  sourcesCounted,
  tellAndAsk,
  type Telling,
} from "../support/sights.ts";
import { metrics } from "../support/status.ts";

const mesh = Mesh.create();
await mesh.startProxies();
await serveMirror(mesh.b, 8080);
await serveMirror(mesh.b, 8081, mesh.b.address4);
await serveMirror(mesh.b, 8083, mesh.b.address6);
const paths = mesh.credentials(mesh.c);
const original = parseSocketAddress(`${mesh.b.address4}:8080`);

/** What the metric counted while `act` ran. */
async function counted(act: () => Promise<void>): Promise<Readonly<Record<string, number>>> {
  const before = await sourcesCounted(mesh.b);
  await act();
  const after = Object.entries(await sourcesCounted(mesh.b));
  const grown = after.map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

function withoutPort(text: string): string {
  return text.replace(/:\d+$/, "");
}

function told(source: string, apart: boolean): Partial<Telling> {
  const preamble = encodeHeader(
    { source: parseSocketAddress(source), distinctPort: apart },
    original,
  );
  return { protocols: "tproxy/2", preamble };
}

const to = { host: mesh.b.address4, port: 8080, paths };

test("a client without a proxy is seen by address and port, at an alias of the application", async () => {
  const counts = await counted(async () => {
    for (const host of [mesh.b.address4, mesh.b.address6]) {
      const { sight, running } = await tellAndAsk(mesh.c, { ...to, host });
      expect(sight.seen).toBe(sight.own);
      expect(sight.at).toBe(
        host === mesh.b.address4 ? "169.254.77.1:8080" : "[fd74:7072:6f78:7931::1]:8080",
      );
      await running.end();
    }
  });
  expect(counts).toEqual({ "ip-port/alias": 2 });
});

test("if the application listens on one address, a client without a proxy is seen by its address", async () => {
  const counts = await counted(async () => {
    for (const [host, port] of [
      [mesh.b.address4, 8081],
      [mesh.b.address6, 8083],
    ] as const) {
      const { sight, running } = await tellAndAsk(mesh.c, { ...to, host, port });
      expect(withoutPort(sight.seen)).toBe(withoutPort(sight.own));
      expect(sight.seen).not.toBe(sight.own);
      expect(withoutPort(sight.at)).toBe(host.includes(":") ? `[${host}]` : host);
      await running.end();
    }
  });
  expect(counts).toEqual({ "ip/one-address": 2 });
});

test("a client that sends its port like a proxy is seen by that port", async () => {
  const { sight, running } = await tellAndAsk(mesh.c, {
    ...to,
    ...told(`${mesh.c.address4}:45678`, true),
  });
  expect(sight.seen).toBe(`${mesh.c.address4}:45678`);
  await running.end();
});

test("a port that other connections of its proxy may use is not preserved; the application's address is", async () => {
  const unsure = told(`${mesh.c.address4}:45678`, false);
  const counts = await counted(async () => {
    for (const port of [8080, 8081]) {
      const { sight, running } = await tellAndAsk(mesh.c, { ...to, ...unsure, port });
      expect(sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:(?!45678)\\d+$`));
      expect(sight.at).toBe(`${mesh.b.address4}:${port}`);
      await running.end();
    }
  });
  expect(counts).toEqual({ "ip/wire-port": 2 });
});

test("a forged address is ignored: the one on the wire is used", async () => {
  const counts = await counted(async () => {
    const telling = { ...to, ...told(`${mesh.a.address4}:45678`, true) };
    const { sight, running } = await tellAndAsk(mesh.c, telling);
    expect(sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:`));
    await running.end();
  });
  expect(counts).toEqual({ "ip/address-differs": 1 });
});

test("a port that equals the wire's own is not used for the application, because both would be cut", async () => {
  const counts = await counted(async () => {
    const telling = { ...to, ...told(`${mesh.c.address4}:23456`, true), from: 23_456 };
    const { sight, running } = await tellAndAsk(mesh.c, telling);
    expect([sight.own, sight.error]).toEqual([`${mesh.c.address4}:23456`, ""]);
    expect([sight.seen, sight.at]).toEqual([sight.own, "169.254.77.1:8080"]);
    await running.end();
  });
  expect(counts).toEqual({ "ip-port/alias": 1 });
});

test("a port with another open connection on the wire is preserved at the alias only", async () => {
  const first = await tellAndAsk(mesh.c, { ...to, from: 23_457, port: 8081 });
  const second = await tellAndAsk(mesh.c, {
    ...to,
    ...told(`${mesh.c.address4}:23457`, true),
    port: 8081,
  });
  expect(second.sight.error).toBe("");
  expect(second.sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:(?!23457)\\d+$`));
  for (const { running } of [first, second]) await running.end();
});

test("a port that others are seen by is used a second time at the alias, but not a third time", async () => {
  const telling = { ...to, ...told(`${mesh.c.address4}:45679`, true) };
  const all = [];
  for (let turn = 0; turn < 3; turn += 1) all.push(await tellAndAsk(mesh.c, telling));
  expect(all.map(({ sight }) => sight.error)).toEqual(["", "", ""]);
  expect(all.map(({ sight }) => sight.at)).toEqual([
    `${mesh.b.address4}:8080`,
    "169.254.77.1:8080",
    `${mesh.b.address4}:8080`,
  ]);
  const [first, second, third] = all.map(({ sight }) => sight.seen);
  expect([first, second]).toEqual([`${mesh.c.address4}:45679`, `${mesh.c.address4}:45679`]);
  expect(third).toMatch(new RegExp(`^${mesh.c.address4}:(?!45679)\\d+$`));
  for (const { running } of all) await running.end();
});

test("a client that breaks the protocol is refused and counted", async () => {
  const telling = {
    ...to,
    protocols: "tproxy/2",
    preamble: new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"),
  };
  const { sight, running } = await tellAndAsk(mesh.c, telling);
  expect([sight.seen, sight.error]).not.toEqual([expect.anything(), ""]);
  const name = `tproxy_handshake_failures_total{direction="inbound",reason="bad-proxy-header"}`;
  expect((await metrics(mesh.b)).get(name)).toBe(1);
  await running.end();
});

test("a client that offers its own protocols is served as before", async () => {
  const own = ["--cert", paths.certificate, "--key", paths.key, "--cacert", paths.authority];
  const { output } = await curl(
    mesh.c,
    "-v",
    "--http0.9",
    "-m",
    "1",
    ...own,
    `https://${mesh.b.address4}:8080/`,
  );
  expect(output).toContain("ALPN");
  expect(output).toContain(`${mesh.c.address4}:`);
});

test("the last connection still has its exact address and port", async () => {
  const { own, seen } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
  expect(seen).toBe(own);
});
