/** /metrics reports what happened, in Prometheus' text format, with labels from closed lists. */
import { expect, test } from "bun:test";

import { probeRefusals } from "../../src/probe/judge.ts";
import { handshakeFailures } from "../../src/tls/failure.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";
import { namedRows, topicText } from "../support/topics.ts";

test("a connection and its bytes are counted by both proxies", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const { client, server } = await mesh.connection();
  await client.write(100_000);
  await server.received(100_000);
  await server.say("answer");
  await client.received(6);
  for (const [pod, direction] of [
    [mesh.a, "outbound"],
    [mesh.b, "inbound"],
  ] as const) {
    const live = await metrics(pod);
    expect(live.get(`tproxy_tcp_open_total{direction="${direction}"}`)).toBe(1);
    expect(live.get(`tproxy_tcp_open_connections{direction="${direction}"}`)).toBe(1);
    expect(live.get(`tproxy_tcp_read_bytes_total{direction="${direction}",peer="src"}`)).toBe(
      100_000,
    );
    expect(live.get(`tproxy_tcp_write_bytes_total{direction="${direction}",peer="dst"}`)).toBe(
      100_000,
    );
    expect(live.get(`tproxy_tcp_read_bytes_total{direction="${direction}",peer="dst"}`)).toBe(6);
    expect(live.get(`tproxy_tcp_write_bytes_total{direction="${direction}",peer="src"}`)).toBe(6);
  }
  await client.end();
  await server.end();
  for (const [pod, direction] of [
    [mesh.a, "outbound"],
    [mesh.b, "inbound"],
  ] as const) {
    const closed = `tproxy_tcp_close_total{direction="${direction}",how="clean"}`;
    const after = await metricOnce(pod, closed, (count) => count === 1);
    expect(after.get(`tproxy_tcp_open_connections{direction="${direction}"}`)).toBe(0);
    expect(after.get(`tproxy_tcp_read_bytes_total{direction="${direction}",peer="src"}`)).toBe(
      100_000,
    );
    expect(after.get(`tproxy_handshake_seconds_count{direction="${direction}"}`)).toBe(1);
  }
});

test("failed handshakes are counted by reason, on both sides", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a, [], { foreign: true });
  await mesh.proxy(mesh.b);
  await serveHttp(mesh.b, 8000, "secret");
  expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).code).not.toBe(0);
  expect((await curl(mesh.c, `http://${mesh.b.address4}:8000/`)).code).not.toBe(0);
  const plain = 'tproxy_handshake_failures_total{direction="inbound",reason="not-tls"}';
  await metricOnce(mesh.b, plain, (count) => count === 1);
  const untrusted =
    'tproxy_handshake_failures_total{direction="outbound",reason="untrusted-chain"}';
  await metricOnce(mesh.a, untrusted, (count) => count === 1);
});

test("process and event loop are measured, and every label belongs to a closed list", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  const all = await metrics(mesh.a);
  for (const name of [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
  ])
    expect(all.get(name)).toBeGreaterThan(0);
  await metricOnce(mesh.a, "tproxy_event_loop_lag_seconds_count", (count) => count > 0);
  const labels = new Set([...all.keys()].flatMap((name) => name.match(/\w+(?==")/g) ?? []));
  expect([...labels].toSorted()).toEqual([
    "commit",
    "direction",
    "how",
    "kept",
    "kind",
    "le",
    "limit",
    "mode",
    "outcome",
    "peer",
    "reason",
    "result",
    "version",
  ]);
});

test("TYPE and HELP lines are present, HEAD is answered, and malformed requests are refused", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  const url = "http://127.0.0.1:15020/metrics";
  const { output } = await curl(mesh.a, "-i", url);
  expect(output).toMatch(/^content-type: text\/plain; version=0\.0\.4/im);
  expect(output).toMatch(/^# TYPE tproxy_handshake_seconds histogram$/m);
  expect((await curl(mesh.a, "-I", url)).output).toMatch(/^HTTP\/1\.1 200 OK/);
  const rubbish = await mesh.a.agent.connect("127.0.0.1", 15_020);
  await rubbish.say("rubbish\r\n\r\n");
  expect((await rubbish.finish()).text).toMatch(/^HTTP\/1\.1 400/);
});

test("the topic metrics names all metrics and only these", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  const { output } = await curl(mesh.a, "http://127.0.0.1:15020/metrics");
  const served = [...output.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "");
  const items = [...topicText("metrics").matchAll(/^- (`[a-z][^:]*`):/gm)];
  const told = items.flatMap(([, names = ""]) =>
    [...names.matchAll(/`([a-z_]+)/g)].map(([, name]) => name ?? ""),
  );
  expect(told.toSorted()).toEqual(served.toSorted());
});

test("every name has the prefix, or its former name with --metrics-names old", async () => {
  const mesh = Mesh.create();
  const options = ["--metrics-names", "old"];
  await Promise.all([mesh.proxy(mesh.a), mesh.proxy(mesh.b, options)]);
  const [now, old] = await Promise.all([metrics(mesh.a), metrics(mesh.b)]);
  const [names, oldNames] = [now, old].map((all) => new Set([...all.keys()].map(nameOf)));
  const others = [...(names ?? [])].filter((name) => !hasPrefix(name));
  expect(others.filter((name) => !name.startsWith("process_"))).toEqual([]);
  expect([...(oldNames ?? [])].filter(hasPrefix)).toEqual(["tproxy_build_info"]);
  expect(oldNames?.size).toBe(names?.size);
  const failures = 'handshake_failures_total{direction="inbound",reason=';
  expect([...old.keys()]).toContain(`${failures}"bad-preamble"}`);
  expect([...now.keys()]).toContain(`tproxy_${failures}"bad-proxy-header"}`);
  for (const name of ["tcp_open_total", "held_bytes_max", "clear_connections_reset_total"])
    expect(oldNames).toContain(name);
});

test("the build is a metric with the value 1", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  const all = await metrics(mesh.a);
  const sample = [...all].find(([name]) => name.startsWith("tproxy_build_info"));
  expect(sample?.[0]).toMatch(/^tproxy_build_info\{version="[\d.]+",commit="\w+"\}$/);
  expect(sample?.[1]).toBe(1);
});

test("the topics name every reason for which a handshake or a probe fails", () => {
  expect(namedRows("metrics")).toEqual(expect.arrayContaining([...handshakeFailures]));
  expect(namedRows("probes")).toEqual(expect.arrayContaining([...probeRefusals]));
});

function nameOf(sample: string): string {
  return sample.replace(/\{.*/, "");
}

function hasPrefix(name: string): boolean {
  return name.startsWith("tproxy_");
}
