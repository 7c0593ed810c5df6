/**
 * The image contains one file under two names: no shell, no libc, no /tmp. It runs on a read-only root and writes
 * nothing.
 */
import { expect, test } from "bun:test";

import { Cluster, sidecarPrivileges, type Container } from "../support/containers.ts";
import { docker, imageUnderTest, label, transient, tryDocker } from "../support/docker.ts";
import { builtExecutable } from "../support/pods.ts";

const cluster = await Cluster.create();
const image = imageUnderTest();
const strict = [...transient, "--network", "none", "--read-only"];

test("the image contains one file with two names", async () => {
  const id = await docker("create", "--label", `${label}=${process.pid}`, image);
  const listing = Bun.spawn(["sh", "-c", `docker export ${id} | tar -t`], { stdout: "pipe" });
  const names = (await new Response(listing.stdout).text()).split("\n");
  await docker("rm", id);
  // Docker itself adds these to every container.
  const foreign = /^(\.dockerenv|(dev|etc|proc|sys)\/.*)?$/;
  expect(names.filter((name) => !foreign.test(name)).toSorted()).toEqual(["tls-tproxy", "tproxy"]);
});

test("the second name is a link, not a copy, and both start the program", async () => {
  const size = Number(await docker("image", "inspect", "--format", "{{.Size}}", image));
  expect(size).toBe(Bun.file(builtExecutable()).size + "tls-tproxy".length);
  for (const name of ["/tls-tproxy", "/tproxy", "tls-tproxy", "tproxy"]) {
    const version = await docker(...strict, "--entrypoint", name, image, "--version");
    expect(version).toMatch(/^tls-tproxy \d+\.\d+\.\d+$/);
  }
});

test("the labels describe the image", async () => {
  const labels = JSON.parse(
    await docker("image", "inspect", "--format", "{{json .Config.Labels}}", image),
  ) as Record<string, string>;
  const of = (name: string): string | undefined => labels[`org.opencontainers.image.${name}`];
  expect(of("title")).toBe("tproxy");
  expect(of("licenses")).toBe("Apache-2.0");
  expect(of("version")).toMatch(/^\d+\.\d+\.\d+/);
  expect(of("revision")).toMatch(/^[0-9a-f]{12}(-dirty)?$/);
});

test.each(["0", "65532:65532"])("user %s can run it without any capability", async (user) => {
  const command = [...strict, "--cap-drop", "ALL", "--user", user, image, "--version"];
  expect(await tryDocker(...command)).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^tls-tproxy \d+\.\d+\.\d+\n$/) as string,
    stderr: "",
  });
});

test.each(["0", "65532:65532"])("the selftest passes for user %s", async (user) => {
  const small = ["selftest", "--handshakes", "200"];
  const { code, stdout } = await tryDocker(
    ...strict,
    "--cap-drop",
    "ALL",
    "--user",
    user,
    image,
    ...small,
  );
  expect(stdout).toContain(" 0 bad.");
  expect(code).toBe(0);
});

test.each(["BUN_BE_BUN=1", "BUN_OPTIONS=--print 1", "NODE_OPTIONS=--inspect", "BUN_INSPECT=0"])(
  "%s in the environment changes nothing",
  async (variable) => {
    const { code, stdout } = await tryDocker(...strict, "--env", variable, image, "--version");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^tls-tproxy \d/)]);
  },
);

test("the demo passes where namespaces are allowed", async () => {
  // Docker's seccomp profile forbids the namespaces that the demo uses as pods.
  const allowed = ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"];
  const { code, stdout, stderr } = await tryDocker(...strict, ...allowed, image, "demo");
  expect(stderr).toBe("");
  expect(stdout).toMatch(/(\d+) of \1 lines as expected/);
  expect(code).toBe(0);
});

test("where namespaces are not allowed, the demo says so in one line", async () => {
  const { code, stderr } = await tryDocker(...strict, "--cap-drop", "ALL", image, "demo");
  expect(stderr).toMatch(/^tls-tproxy: no namespaces for the demo .*\n$/);
  expect(code).toBe(1);
});

test("a sidecar that has carried connections has written no file", async () => {
  const [a, b] = await Promise.all([cluster.pod("a"), cluster.pod("b")]);
  const proxies = await Promise.all(
    [a, b].map(async (pod) => await pod.proxy({ credentials: cluster.certificate(pod) })),
  );
  expect((await a.curl(`http://${b.address4}:8080/`)).stdout).toBe("hello from b\n");
  for (const proxy of proxies) expect(await written(proxy)).toEqual([]);
});

test("on a writable root it writes no file either", async () => {
  const pod = await cluster.pod("writable");
  const privileges = sidecarPrivileges.filter((flag) => flag !== "--read-only");
  const proxy = await pod.proxy({ credentials: cluster.certificate(pod), privileges });
  expect((await pod.curl("http://127.0.0.1:8080/")).stdout).toBe("hello from writable\n");
  expect(await written(proxy)).toEqual([]);
});

/** The files in the container's own file system; Docker made the mount point of the certificates. */
async function written(container: Container): Promise<string[]> {
  const lines = (await docker("diff", container.name)).split("\n");
  return lines.filter((line) => line !== "" && line !== "A /certs");
}
