/** `tls-tproxy check` finds what would prevent a start or break traffic, names the remedy, and changes nothing. */
import { expect, test } from "bun:test";

import { addChain, runScript, type Chain } from "../support/foreign.ts";
import { serveHttp } from "../support/http.ts";
import { kernelState, makeForeign } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod } from "../support/pods.ts";
import { curl } from "../support/programs.ts";

const mesh = Mesh.create();

type Found = {
  readonly id: string;
  readonly section: string;
  readonly level: string;
  readonly message: string;
};
type Report = { readonly ok: boolean; readonly items: readonly Found[] };

async function check(
  pod: Pod,
  options: readonly string[],
  prefix: readonly string[] = [],
): Promise<{ code: number; report: Report; levelOf: (id: string) => string }> {
  const command = [...prefix, ...executable(), "check", "--json", ...options];
  const { code, stdout, stderr } = await pod.run(command);
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as Report;
  const levelOf = (id: string): string =>
    report.items.find((one) => one.id === id)?.level ?? "none";
  return { code, report, levelOf };
}

test("in a sound environment it reports no problem and changes nothing", async () => {
  const pod = mesh.extraPod();
  const before = await kernelState(pod);
  const { code, report } = await check(pod, flagsOf(mesh.credentials(pod)));
  expect(report.items.filter(({ level }) => level === "bad")).toEqual([]);
  expect([code, report.ok]).toEqual([0, true]);
  expect(report.items.filter(({ section }) => section === "Kernel")).toHaveLength(17);
  expect(await kernelState(pod)).toBe(before);
});

test("beside a running proxy it says so, even if it may not inspect the proxy's sockets", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod);
  const withoutTracing = ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"];
  for (const prefix of [[], withoutTracing]) {
    const { code, report } = await check(pod, flagsOf(mesh.credentials(pod)), prefix);
    const ports = report.items.filter(({ section }) => section === "Ports");
    expect(ports.map(({ id }) => id)).toContain("proxy-running");
    expect(report.items.filter(({ level }) => level === "bad")).toEqual([]);
    expect(code).toBe(0);
  }
});

test("check lists each probe with the gateway's address from the pod's routes", async () => {
  const pod = mesh.extraPod();
  await pod.run(["ip", "route", "add", "default", "via", mesh.a.address4]);
  const probes = ["--probe", "tcp:80", "--probe-source", "gateway"];
  const { stdout } = await pod.run([...executable(), "check", ...probes]);
  expect(stdout).toContain(`  ✓ probes: bypass: tcp:80 from ${mesh.a.address4}/32\n`);
});

test("the text output has symbols and a summary", async () => {
  const pod = mesh.extraPod();
  const { stdout } = await pod.run([...executable(), "check"]);
  expect(stdout).toMatch(/\nKernel\n {2}✓ nftables\n/);
  expect(stdout).toMatch(/\d+ good, \d+ warnings, 0 bad\. The proxy can start\.\n$/);
});

test.each([
  ["an expired certificate", { expired: true }, "credential-files"],
  ["a CA certificate", { isAuthority: true }, "certificate-purposes"],
  ["a certificate for clients only", { usages: ["clientAuth"] }, "certificate-purposes"],
] as const)("%s is reported as bad", async (_, defect, id) => {
  const pod = mesh.extraPod();
  const { code, levelOf } = await check(pod, flagsOf(mesh.credentials(pod, defect)));
  expect([code, levelOf(id)]).toEqual([1, "bad"]);
});

test("with --verify ip a certificate that does not name the pod's addresses is a warning", async () => {
  const pod = mesh.extraPod();
  const { levelOf } = await check(pod, [
    ...flagsOf(mesh.credentials(pod, { ips: ["192.0.2.1"] })),
    "--verify",
    "ip",
  ]);
  expect(levelOf("certificate-addresses")).toBe("warning");
});

test("missing capabilities and too few descriptors are bad", async () => {
  const pod = mesh.extraPod();
  const drop = "--bounding-set=-net_admin,-net_bind_service";
  const without = ["setpriv", drop, "--inh-caps=-net_admin,-net_bind_service"];
  const { code, levelOf } = await check(pod, [], [...without, "prlimit", "--nofile=100:100"]);
  expect(code).toBe(1);
  const ids = ["cap-net-admin", "cap-net-bind-service", "descriptors"];
  expect(ids.map(levelOf)).toEqual(["bad", "bad", "bad"]);
});

const without = (capabilities: string): readonly string[] => [
  "setpriv",
  `--bounding-set=${capabilities}`,
  `--inh-caps=${capabilities}`,
];

test.each([
  ["dropped, the default in a pod", "-net_raw", [], ["good", "bad"]],
  ["kept", "-net_raw", ["--privileges", "kept"], ["good", "good"]],
  ["kept", "-net_admin", ["--privileges", "kept"], ["bad", "good"]],
  ["external, with NET_ADMIN", "-net_raw", ["--rules", "external"], ["good", "good"]],
  ["external", "-net_admin", ["--rules", "external"], ["good", "good"]],
  ["external", "-net_raw,-net_admin", ["--rules", "external"], ["good", "bad"]],
] as const)(
  "CAP_NET_RAW is required where the proxy needs it: %s, %s",
  async (_, capabilities, options, levels) => {
    const pod = mesh.extraPod();
    const { levelOf } = await check(pod, options, without(capabilities));
    expect([levelOf("cap-net-admin"), levelOf("cap-net-raw")]).toEqual([...levels]);
  },
);

test("with --privileges kept the proxy works without CAP_NET_RAW, as check says", async () => {
  const [client, server] = [mesh.extraPod(), mesh.extraPod()];
  for (const pod of [client, server]) {
    const flags = [...flagsOf(mesh.credentials(pod)), "--privileges", "kept"];
    await pod.start([...without("-net_raw"), ...executable(), ...flags]).says(/proxy\] ready/);
  }
  await serveHttp(server, 8080, "without NET_RAW");
  for (const host of [server.address4, `[${server.address6}]`])
    expect((await curl(client, `http://${host}:8080/`)).output).toBe("without NET_RAW");
});

test("marks with CAP_NET_RAW alone are tried unless all capabilities are kept", async () => {
  const pod = mesh.extraPod();
  expect((await check(pod, [])).levelOf("kernel-net-raw")).toBe("good");
  expect((await check(pod, ["--privileges", "kept"])).levelOf("kernel-net-raw")).toBe("none");
});

test("too few free descriptors are bad, as a start would say", async () => {
  const script = 'for ((i = 0; i < 160; i += 1)); do exec {fd}</dev/null; done; exec "$@"';
  const holding = ["prlimit", "--nofile=220:220", "bash", "-c", script, "bash"];
  const { report, levelOf } = await check(mesh.extraPod(), [], holding);
  expect(levelOf("descriptors")).toBe("bad");
  const { message } = report.items.find(({ id }) => id === "descriptors") ?? { message: "" };
  expect(message).toMatch(/a start needs 64 free descriptors, and there are \d+: .*EMFILE/);
});

test("the limits that follow from the available memory are printed", async () => {
  const { stdout } = await mesh.extraPod().run([...executable(), "check", "--memory", "256MiB"]);
  expect(stdout).toMatch(
    /✓ memory: \d+ connections at most: .* from 256 MiB of memory \(--memory\)/,
  );
});

test("on a host, what would prevent a start is bad", async () => {
  const pod = mesh.extraPod();
  expect((await check(pod, ["--host"])).levelOf("scope")).toBe("bad");
  const scoped = ["--host", "--mesh-cidr", "10.0.0.0/8", "--inbound-port", "8080"];
  expect((await check(pod, scoped)).levelOf("scope")).toBe("good");
});

test("a port in use is bad, a running proxy is a warning", async () => {
  const pod = mesh.extraPod();
  await pod.agent.listen("127.0.0.1", 2);
  expect((await check(pod, [])).levelOf("tls-port")).toBe("bad");
  const { stdout } = await pod.run([...executable(), "check"]);
  expect(stdout).toContain(`: process ${pod.agent.pid} (bun) listens there\n      End it, or`);
  // Another program at the proxy's own port is not a proxy.
  const taken = mesh.extraPod();
  await taken.agent.listen("::", 1);
  expect((await check(taken, [])).levelOf("tcp-port")).toBe("bad");
  const other = mesh.extraPod();
  await mesh.proxy(other);
  expect((await check(other, [])).levelOf("proxy-running")).toBe("warning");
});

test("lo down is bad; other tables are listed, with a warning if they rewrite or drop packets", async () => {
  const pod = mesh.extraPod();
  await makeForeign(pod);
  expect((await check(pod, [])).levelOf("other-nftables")).toBe("good");
  expect((await check(pod, [])).levelOf("earlier-routing-rules")).toBe("warning");
  await pod.run(
    ["sh", "-e"],
    "nft 'add chain inet foreign n { type nat hook output priority 0; }'",
  );
  expect((await check(pod, [])).levelOf("other-nftables")).toBe("warning");
  await pod.run(["ip", "link", "set", "lo", "down"]);
  expect((await check(pod, [])).levelOf("loopback-interface")).toBe("bad");
});

test("beside a running proxy, the proxy's own rules are not listed as other rules", async () => {
  const pod = mesh.extraPod();
  const options = ["--host", "--mesh-cidr", "10.77.0.0/24", "--inbound-port", "8080"];
  await mesh.proxy(pod, options);
  const { report } = await check(pod, [...flagsOf(mesh.credentials(pod)), ...options]);
  const others = report.items.filter(({ id }) => id === "other-nftables");
  expect(others).toEqual([
    expect.objectContaining({ level: "good", message: "nftables of others: none" }),
  ]);
});

test("where all ports are intercepted, or users are selected, a warning says what applications see", async () => {
  const pod = mesh.extraPod();
  await pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
  const flags = [...flagsOf(mesh.credentials(pod)), "--exclude-uid", "4242"];
  const { levelOf } = await check(pod, flags);
  expect(levelOf("wire-ports")).toBe("warning");
  expect(levelOf("source-addresses")).toBe("warning");
  const proxy = await pod.proxy(flags);
  await proxy.says(/W\S+ .*applications that listen on all addresses see 169\.254\.77\.1/);
  await pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 60999"]);
  expect((await check(pod, flags)).levelOf("wire-ports")).toBe("good");
});

const setters: readonly (readonly [string, Chain["hook"], number, string])[] = [
  ["restored from conntrack after ours", "output", -149, "meta mark set ct mark"],
  ["set without keeping our bits", "output", 0, "meta mark set 0x10"],
  ["set in our bits", "output", 0, "meta mark set meta mark or 0x4"],
  ["removed before our chain reads them", "prerouting", -300, "meta mark set 0"],
];
const harmless: readonly (readonly [string, Chain["hook"], number, string])[] = [
  ["set in other bits", "output", 0, "meta mark set meta mark and 0xffffff0f or 0x40"],
  ["set before ours", "output", -151, "meta mark set 0x10"],
  ["set after the final check", "postrouting", 150, "meta mark set 0"],
  ["read", "output", 0, "meta mark 0x1 counter"],
];

test.each([
  ["warning", setters],
  ["good", harmless],
] as const)("a %s is reported when other rules change marks like this", async (level, all) => {
  for (const [how, hook, priority, rules] of all) {
    const pod = mesh.extraPod();
    await addChain(pod, { hook, priority, rules });
    expect([how, (await check(pod, [])).levelOf("other-marks")]).toEqual([how, level]);
  }
});

test("marks are found in chains that others jump to, and in the form that iptables writes", async () => {
  const pod = mesh.extraPod();
  await runScript(
    pod,
    `nft 'table ip o { chain far { meta mark set 0; }; chain near { jump far; };
      chain c { type filter hook output priority 0; ip protocol tcp jump near; }; }'`,
  );
  expect((await check(pod, [])).levelOf("other-marks")).toBe("warning");
  await runScript(pod, "nft delete table ip o");
  await runScript(
    pod,
    "iptables-nft -t mangle -A OUTPUT -j CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xf0",
  );
  expect((await check(pod, [])).levelOf("other-marks")).toBe("good");
  await runScript(pod, "iptables-nft -t mangle -A OUTPUT -j CONNMARK --restore-mark");
  expect((await check(pod, [])).levelOf("other-marks")).toBe("warning");
});
