/** One line for each connection when it ends, in klog's format; -v adds more. */
import { expect, test } from "bun:test";

import { flagsOf, Mesh } from "../support/mesh.ts";
import { serveHttp } from "../support/http.ts";
import { executable } from "../support/pods.ts";
import { metricOnce } from "../support/status.ts";
import { curl } from "../support/programs.ts";

const mesh = Mesh.create();

function escaped(text: string): string {
  return text.replaceAll(/[.[\]]/g, String.raw`\$&`);
}

const head = String.raw`^[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ `;

test.each(["IPv4", "IPv6"])(
  "both proxies log who spoke to whom, how much, and how it ended, %s",
  async (family) => {
    const [from, to] = [mesh.extraPod(), mesh.extraPod()];
    await serveHttp(to, 8080, "hello");
    const [outbound, inbound] = [
      await mesh.proxy(from, ["-v", "1"]),
      await mesh.proxy(to, ["-v", "1"]),
    ];
    const [source, host] =
      family === "IPv4" ? [from.address4, to.address4] : [`[${from.address6}]`, `[${to.address6}]`];
    expect((await curl(from, `http://${host}:8080/`)).output).toBe("hello");
    const target = family === "IPv4" ? escaped(`[${host}:8080]`) : escaped(`${host}:8080`);
    const line = (as: string): string =>
      String.raw`Closed connection from ${escaped(source)}:\d+ to ${target}: peer=\S+ ${as}sent=\d+ received=\d+ ms=\d+ end="clean"$`;
    for (const [proxy, name, as] of [
      [outbound, "outbound", ""],
      [inbound, "inbound", `as=${escaped(source)}:\\d+ `],
    ] as const) {
      await proxy.says(new RegExp(`${head}${name}\\] ${line(as)}`, "m"));
      const accepting = `${head}${name}\\] Accepting connection from ${escaped(source)}:\\d+ with destination of ${escaped(host)}:8080$`;
      expect(proxy.output).toMatch(new RegExp(accepting, "m"));
      expect(proxy.output.match(/Closed connection/g)).toHaveLength(1);
    }
    // The client's port is the same in both logs, because its proxy transmits it.
    const [, client = "none"] = /Closed connection from (\S+) to/.exec(outbound.output) ?? [];
    expect(inbound.output).toContain(` as=${client} `);
  },
);

test("without -v nothing is logged before the end", async () => {
  const pod = mesh.extraPod();
  const proxy = await pod.proxy(flagsOf(mesh.credentials(pod)));
  expect((await curl(pod, `http://${mesh.c.address4}:8080/`)).code).not.toBe(0);
  await proxy.says(/Failed to connect to original destination/);
  expect(proxy.output).not.toContain("Accepting");
});

test("--log-format json prints one object a line, with a field for every item", async () => {
  const pod = mesh.extraPod();
  const proxy = await pod.proxy(
    [...flagsOf(mesh.credentials(pod)), "--log-format", "json"],
    [],
    /"message":"ready"/,
  );
  expect((await curl(pod, `http://${mesh.c.address4}:8080/`)).code).not.toBe(0);
  await proxy.says(/Failed to connect/);
  await proxy.end();
  const lines = proxy.output.trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const failed = entries.find(({ outcome }) => outcome === "unreached");
  expect(failed).toMatchObject({
    level: "info",
    source: "outbound",
    to: `${mesh.c.address4}:8080`,
    peer: null,
    reason: "connection refused",
  });
});

test.each(["text", "json"])("any peer name is quoted and escaped once, %s", async (format) => {
  const [from, to] = [mesh.extraPod(), mesh.extraPod()];
  const name = '\u202Espiffe://a/b" end="clean"\n\u001B[2J\u200B\\';
  await serveHttp(to, 8080, "hello");
  await mesh.proxy(from, ["--verify", "ip"], { commonName: name });
  const options = [...flagsOf(mesh.credentials(to)), "--verify", "ip", "--log-format", format];
  const inbound = await to.proxy(options, [], /ready/);
  expect((await curl(from, `http://${to.address4}:8080/`)).output).toBe("hello");
  await inbound.says(/Closed connection/);
  await inbound.end();
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  expect(inbound.output).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u200B\u202E]/);
  const line = inbound.output.split("\n").find((one) => one.includes("Closed connection")) ?? "";
  if (format === "json") expect(JSON.parse(line)).toMatchObject({ peer: `CN=${name}` });
  else
    expect(line).toContain(
      String.raw`peer="\u202espiffe://a/b\" end=\"clean\"\n\u001b[2J\u200b\\" as=`,
    );
});

test("a flood is sampled, and the log gives the number of omitted lines", async () => {
  const pod = mesh.extraPod();
  const proxy = await pod.proxy([...flagsOf(mesh.credentials(pod)), "--log-lines", "5"]);
  for (let turn = 0; turn < 50; turn += 1) {
    const client = await mesh.c.agent.connect(pod.address4, 80);
    await client.say("no TLS record");
    await client.finish();
  }
  await proxy.says(/W\S+ .*log\] left out \d+ lines in the last second: inbound\/I=\d+/);
  await proxy.end();
  const written = proxy.output.match(/Refused connection/g)?.length ?? 0;
  const leftOut = [...proxy.output.matchAll(/left out (\d+) lines/g)];
  expect(written + leftOut.reduce((sum, [, lines]) => sum + Number(lines), 0)).toBe(50);
});

test("expected endings cause no warnings", async () => {
  const own = Mesh.create();
  await own.startProxies();
  const { client } = await own.connection();
  await client.reset();
  const early = await own.c.agent.connect(own.b.address4, 8080);
  // A client that leaves before it is accepted causes no line.
  await metricOnce(own.b, 'tproxy_tcp_open_total{direction="inbound"}', (count) => count === 2);
  await early.reset();
  const [outbound, inbound] = own.proxies;
  await outbound?.says(/Closed connection .*connection reset by peer/);
  await inbound?.says(/Refused connection/);
  expect((outbound?.output ?? "") + (inbound?.output ?? "")).not.toMatch(/^[WEF]\d/m);
});

test("with the reader of stderr gone, the proxy still serves, drains and removes its rules", async () => {
  const pod = mesh.extraPod();
  await serveHttp(pod, 8000, "served");
  const flags = [
    ...flagsOf(mesh.credentials(pod)),
    "--privileges",
    "kept",
    "--remove-rules-on-exit",
  ];
  const command = [...executable(), ...flags].map((word) => `'${word}'`).join(" ");
  // The reader ends after the line that it waits for, and the proxy replaces the shell.
  const proxy = pod.start(["bash", "-c", `exec ${command} 2> >(grep -m1 '] ready')`]);
  await proxy.says(/\] ready/);
  for (let turn = 0; turn < 3; turn += 1)
    expect((await curl(mesh.a, `http://${pod.address4}:8000/`)).output).not.toContain("served"); // It is no peer.
  expect(await proxy.end()).toBe(0);
  expect((await pod.run(["nft", "list", "tables"])).stdout).not.toContain("tls-tproxy");
});
