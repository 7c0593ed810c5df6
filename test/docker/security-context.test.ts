/** The sidecar's privileges, one by one: what needs each, and the message when it is missing. */
import { expect, test } from "bun:test";

import { Cluster, sidecarPrivileges, type Container, type Pod } from "../support/containers.ts";

const cluster = await Cluster.create();
const peer = await cluster.pod("peer");
await peer.proxy({ credentials: cluster.certificate(peer) });

const rest = ["--read-only", "--security-opt", "no-new-privileges"];
const drop = ["--cap-drop", "ALL"];
/** For runtimes that protect ports below 1024, which Docker itself does not. */
const protectedPorts = ["--sysctl", "net.ipv4.ip_unprivileged_port_start=1024"];

async function start(pod: Pod, privileges: readonly string[]): Promise<Container> {
  return await pod.sidecar({ credentials: cluster.certificate(pod), privileges });
}

async function expectCarried(pod: Pod): Promise<void> {
  expect((await pod.curl(`http://${peer.address4}:8080/`)).stdout).toBe("hello from peer\n");
  expect((await peer.curl(`http://${pod.address4}:8080/`)).stdout).toBe(
    `hello from ${pod.title}\n`,
  );
}

/** The sidecar has ended, has named the reason in one line, and left nothing behind. */
async function expectRefusal(pod: Pod, sidecar: Container, reason: RegExp): Promise<void> {
  expect(await sidecar.ended()).toBe(1);
  await sidecar.says(reason);
  await sidecar.says(/^tls-tproxy: .*\n$/);
  expect(await pod.look("nft", "list", "tables")).not.toContain("tls-tproxy");
  expect(await pod.look("/bin/ip", "rule")).not.toContain("fwmark");
}

test("with exactly the privileges that the manual promises it has only those, and carries traffic", async () => {
  const pod = await cluster.pod("enough");
  const sidecar = await start(pod, sidecarPrivileges);
  await sidecar.says(/\] ready/);
  const status = await cluster.status(sidecar);
  const allowed = 2 ** 12 + 2 ** 13; // CAP_NET_ADMIN, CAP_NET_RAW
  expect(Number(`0x${status.get("CapEff")}`) & ~allowed).toBe(0);
  expect(Number(`0x${status.get("CapPrm")}`) & ~allowed).toBe(0);
  expect(status.get("NoNewPrivs")).toBe("1");
  await expectCarried(pod);
});

test("without NET_ADMIN it refuses to start, and names the capability", async () => {
  const pod = await cluster.pod("noadmin");
  const sidecar = await start(pod, [...drop, "--cap-add", "NET_RAW", ...rest]);
  await expectRefusal(pod, sidecar, /NET_ADMIN/);
});

test("without any capability it refuses to start, and names one", async () => {
  const pod = await cluster.pod("nothing");
  await expectRefusal(pod, await start(pod, [...drop, ...rest]), /NET_ADMIN|NET_RAW/);
});

test("without NET_RAW it refuses to drop the rest, and names it; with privileges kept it carries traffic", async () => {
  const withoutRaw = [...drop, "--cap-add", "NET_ADMIN", ...rest];
  const refused = await cluster.pod("noraw");
  await expectRefusal(refused, await start(refused, withoutRaw), /NET_RAW/);
  const pod = await cluster.pod("norawkept");
  const options = ["--privileges", "kept"];
  await pod.proxy({ credentials: cluster.certificate(pod), privileges: withoutRaw, options });
  await expectCarried(pod);
});

test("where low ports are protected it refuses to start without NET_BIND_SERVICE, and says so", async () => {
  const pod = await cluster.pod("nobind", protectedPorts);
  await expectRefusal(pod, await start(pod, sidecarPrivileges), /NET_BIND_SERVICE/);
});

test("where low ports are protected, NET_BIND_SERVICE is enough", async () => {
  const pod = await cluster.pod("bind", protectedPorts);
  const sidecar = await start(pod, [...sidecarPrivileges, "--cap-add", "NET_BIND_SERVICE"]);
  await sidecar.says(/\] ready/);
  await expectCarried(pod);
});

test("where low ports are protected, higher ports need no capability", async () => {
  const pod = await cluster.pod("high", protectedPorts);
  const options = ["--tcp-port", "15001", "--tls-port", "15006", "--inspect-port", "15007"];
  await pod.proxy({ credentials: cluster.certificate(pod), options });
  await expectCarried(pod);
});

test("as a user other than root it refuses to start, and says why", async () => {
  const pod = await cluster.pod("nonroot");
  const sidecar = await start(pod, [...sidecarPrivileges, "--user", "65532:65532"]);
  await expectRefusal(pod, sidecar, /NET_ADMIN.*root/);
});

test("without a read-only root and no-new-privileges it carries traffic too", async () => {
  const pod = await cluster.pod("loose");
  const sidecar = await start(pod, [...drop, "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW"]);
  await sidecar.says(/\] ready/);
  await expectCarried(pod);
});

test("an application without NET_RAW can neither set the proxy's mark nor send raw packets", async () => {
  const pod = await cluster.pod("mark");
  await pod.proxy({ credentials: cluster.certificate(pod) });
  expect((await pod.exec("bun", "-e", evasion)).stdout).toBe("mark refused, raw refused\n");
});

test("control: with Docker's default capabilities an application can do both", async () => {
  const pod = await cluster.pod("raw");
  expect(await pod.look("bun", "-e", evasion)).toBe("mark set, raw open");
});

/** setsockopt(SO_MARK) on a TCP socket, and a socket of IPPROTO_RAW. */
const evasion = `
  const { dlopen, ptr } = require("bun:ffi");
  const { symbols: c } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  });
  const mark = c.setsockopt(c.socket(2, 1, 0), 1, 36, ptr(Uint32Array.of(10)), 4);
  const raw = c.socket(2, 3, 255);
  console.log("mark " + (mark < 0 ? "refused" : "set") + ", raw " + (raw < 0 ? "refused" : "open"));
`;
