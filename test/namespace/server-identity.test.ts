/**
 * --verify ip: the server's certificate must name the address that the application dialled, or the client gets RST.
 */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { opensslServer } from "../support/programs.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  mesh.proxies.push(await mesh.proxy(mesh.a, ["--verify", "ip"]));
});

test.each([
  [
    "does not name its address",
    { ips: ["127.0.0.1", "::1"] },
    "certificate is valid for 127.0.0.1, ::1, not ADDRESS",
  ],
  ["names no address at all", { ips: [] }, "valid for no address (it names spiffe://"],
  ["is of another CA", { foreign: true }, "signed by an unknown CA"],
  ["has expired", { expired: true }, "certificate has expired"],
  ["is not valid yet", { early: true }, "certificate is not valid before"],
  ["is for clients only", { usages: ["clientAuth"] }, "not meant for a server"],
  ["is a CA certificate", { isAuthority: true }, "CA:TRUE"],
] as const)("a server is refused whose certificate %s", async (_, defect, words) => {
  const pod = mesh.extraPod();
  const server = await opensslServer(pod, 8080, mesh.credentials(pod, defect));
  expect(await mesh.a.agent.attempt(pod.address4, 8080)).toBe("ECONNRESET");
  const line = await mesh.proxies[0]?.says(
    new RegExp(`Failed to connect to original destination \\[${pod.address4}:8080\\]: .*`),
  );
  expect(line).toContain(words.replace("ADDRESS", pod.address4));
  await server.end();
});

test("control: with a good certificate the server is reached", async () => {
  const pod = mesh.extraPod();
  await opensslServer(pod, 8080, mesh.credentials(pod));
  const client = await mesh.a.agent.connect(pod.address4, 8080);
  await client.say("GET / HTTP/1.0\r\n\r\n");
  expect((await client.received(1)).text).toContain("HTTP/1.0 200");
});
