/** Where a client's port cannot be kept its address is, nothing hangs, and the metric says why. */
import { expect, test } from "bun:test";

import { parseSocketAddress } from "../../src/net/address.ts";
import { encodePreamble } from "../../src/source/preamble.ts";
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
const paths = mesh.credentials(mesh.c);
const original = parseSocketAddress(`${mesh.b.address4}:8080`);

/** What the metric has counted while `act` went on. */
async function counted(act: () => Promise<void>): Promise<Readonly<Record<string, number>>> {
  const before = await sourcesCounted(mesh.b);
  await act();
  const after = Object.entries(await sourcesCounted(mesh.b));
  const grown = after.map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

function told(source: string, apart: boolean): Partial<Telling> {
  const preamble = encodePreamble({ source: parseSocketAddress(source), apart }, original);
  return { protocols: "tproxy/2", preamble };
}

const to = { host: mesh.b.address4, port: 8080, paths };

test("a client that is no proxy of ours is seen by its address, by another port", async () => {
  const counts = await counted(async () => {
    const { sight, running } = await tellAndAsk(mesh.c, to);
    expect(sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:\\d+$`));
    expect(sight.seen).not.toBe(sight.own);
    await running.end();
  });
  expect(counts).toEqual({ "ip/foreign-client": 1 });
});

test("a client that tells its port as our proxies do is seen by that one", async () => {
  const { sight, running } = await tellAndAsk(mesh.c, {
    ...to,
    ...told(`${mesh.c.address4}:45678`, true),
  });
  expect(sight.seen).toBe(`${mesh.c.address4}:45678`);
  await running.end();
});

test("a port that other connections of its proxy may come from is not believed", async () => {
  const counts = await counted(async () => {
    const telling = { ...to, ...told(`${mesh.c.address4}:45678`, false) };
    const { sight, running } = await tellAndAsk(mesh.c, telling);
    expect(sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:(?!45678)\\d+$`));
    await running.end();
  });
  expect(counts).toEqual({ "ip/wire-port": 1 });
});

test("another's address is not believed: the one on the wire is seen", async () => {
  const counts = await counted(async () => {
    const telling = { ...to, ...told(`${mesh.a.address4}:45678`, true) };
    const { sight, running } = await tellAndAsk(mesh.c, telling);
    expect(sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:`));
    await running.end();
  });
  expect(counts).toEqual({ "ip/address-differs": 1 });
});

test("a port that is its own on the wire is not taken for the application's: both would be cut", async () => {
  const counts = await counted(async () => {
    const telling = { ...to, ...told(`${mesh.c.address4}:23456`, true), from: 23_456 };
    const { sight, running } = await tellAndAsk(mesh.c, telling);
    expect([sight.own, sight.error]).toEqual([`${mesh.c.address4}:23456`, ""]);
    expect(sight.seen).not.toBe(sight.own);
    await running.end();
  });
  expect(counts).toEqual({ "ip/same-tuple": 1 });
});

test("a port by which another connection on the wire is open is not taken", async () => {
  const first = await tellAndAsk(mesh.c, { ...to, from: 23_457 });
  const second = await tellAndAsk(mesh.c, { ...to, ...told(`${mesh.c.address4}:23457`, true) });
  expect(second.sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:(?!23457)\\d+$`));
  for (const { running } of [first, second]) await running.end();
});

test("a port that another connection is seen by is not given twice", async () => {
  const telling = { ...to, ...told(`${mesh.c.address4}:45679`, true) };
  const first = await tellAndAsk(mesh.c, telling);
  const second = await tellAndAsk(mesh.c, telling);
  expect([first, second].map(({ sight }) => sight.error)).toEqual(["", ""]);
  expect(first.sight.seen).toBe(`${mesh.c.address4}:45679`);
  expect(second.sight.seen).toMatch(new RegExp(`^${mesh.c.address4}:(?!45679)\\d+$`));
  for (const { running } of [first, second]) await running.end();
});

test("who does not begin as agreed is refused, and it is counted", async () => {
  const telling = {
    ...to,
    protocols: "tproxy/2",
    preamble: new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"),
  };
  const { sight, running } = await tellAndAsk(mesh.c, telling);
  expect([sight.seen, sight.error]).not.toEqual([expect.anything(), ""]);
  const name = `handshake_failures_total{direction="inbound",reason="bad-preamble"}`;
  expect((await metrics(mesh.b)).get(name)).toBe(1);
  await running.end();
});

test("a client that offers protocols of its own is served as before", async () => {
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

test("the sample that was told last is still exact", async () => {
  const { own, seen } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
  expect(seen).toBe(own);
});
