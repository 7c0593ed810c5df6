/** A container's port that the host publishes by address translation, as Docker does: only peers reach it. */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { curl, resetByCurl } from "../support/programs.ts";
import { sourcesCounted } from "../support/sights.ts";

const container = { 4: "172.17.0.2", 6: "fd17::2" } as const;

/** A bridge with a container on it, whose port 80 is published as the host's port 8080, by Docker's own rules. */
async function publish(host: Pod, inside: string): Promise<void> {
  const commands = [
    `ip -n ${inside} link del eth0`,
    `ip -n ${host.namespace} link add docker0 type bridge`,
    `ip -n ${host.namespace} addr add 172.17.0.1/16 dev docker0`,
    `ip -n ${host.namespace} addr add fd17::1/64 dev docker0 nodad`,
    `ip -n ${host.namespace} link add veth0 type veth peer name eth0 netns ${inside}`,
    `ip -n ${host.namespace} link set veth0 master docker0 up`,
    `ip -n ${host.namespace} link set docker0 up`,
    `ip -n ${inside} addr add ${container[4]}/16 dev eth0`,
    `ip -n ${inside} addr add ${container[6]}/64 dev eth0 nodad`,
    `ip -n ${inside} link set eth0 up`,
    `ip -n ${inside} route add default via 172.17.0.1`,
    `ip -n ${inside} -6 route add default via fd17::1`,
  ];
  for (const command of commands) await run(host, command.split(" "));
  await run(host, ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  await run(host, ["nft", "-f", "-"], dockerRules(4) + dockerRules(6));
}

async function run(host: Pod, command: readonly string[], input = ""): Promise<void> {
  const { code, stderr } = await host.run(command, input);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

function dockerRules(family: 4 | 6): string {
  const [ip, loopback] = family === 4 ? ["ip", "127.0.0.0/8"] : ["ip6", "::1"];
  const to = family === 4 ? `${container[4]}:80` : `[${container[6]}]:80`;
  return `table ${ip} nat {
    chain PREROUTING { type nat hook prerouting priority dstnat; fib daddr type local jump DOCKER; }
    chain OUTPUT { type nat hook output priority -100; ${ip} daddr != ${loopback} fib daddr type local jump DOCKER; }
    chain DOCKER { iifname "docker0" return; tcp dport 8080 dnat to ${to}; }
  }\n`;
}

function url(host: string): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:8080/`;
}

const range = ["--mesh-cidr", "10.77.0.0/24,fd77::/64"];

test.each([
  ["--host", [...range, "--inbound-port", "8080"]],
  ["--host=false", [...range, "--inbound-port", "8080", "--privileges", "dropped"]],
  ["--host", [...range, "--inbound-port", "8080", "--preserve-source", "off"]],
  [
    "--host",
    [
      "--mesh-cidr",
      "0.0.0.0/0,::/0",
      "--exclude-cidr",
      "172.17.0.0/16,fd17::/64",
      "--inbound-port",
      "8080",
    ],
  ],
] as const)(
  "%s %p: a peer reaches the container at once, a stranger does not",
  async (host, options) => {
    const mesh = await published();
    await mesh.proxy(mesh.a);
    await mesh.proxy(mesh.b, [host, ...options]);
    for (const address of [mesh.b.address4, mesh.b.address6])
      for (const _ of ["first", "second"]) {
        const { output } = await curl(mesh.a, url(address));
        expect(output).toBe("container");
        expect((await curl(mesh.c, url(address))).output).not.toContain("container");
      }
    const reason = options.some((one) => one === "off") ? "as-asked" : "translated";
    expect(await sourcesCounted(mesh.b)).toEqual({ [`none/${reason}`]: 4 });
  },
);

test("if the container is in the mesh, connections to it are refused at once, never made in cleartext", async () => {
  const mesh = await published();
  await mesh.proxy(mesh.a);
  const proxy = await mesh.proxy(mesh.b, [
    "--host",
    "--mesh-cidr",
    "10.77.0.0/24,172.16.0.0/12",
    "--inbound-port",
    "8080",
  ]);
  const { output } = await curl(mesh.a, url(mesh.b.address4));
  expect(output).toMatch(resetByCurl);
  await proxy.says(
    /Failed to connect to original destination \[10\.77\.0\.2:8080\]: connection refused/,
  );
});

test.each([
  ["--host --inbound-port 9090"],
  ["--host --inbound-port 9090 --exclude-uid 1234"],
  ["--host --inbound-port 9090 --only-gid 0"],
  ["--host=false --exclude-inbound-port 8080"],
  ["--host=false --exclude-inbound-port 8080 --exclude-uid 1234"],
])("%s: a port that is not intercepted reaches the container as before", async (options) => {
  const mesh = await published();
  await mesh.proxy(mesh.b, [
    "--mesh-cidr",
    "10.77.0.0/24,fd77::/64,172.16.0.0/12,fd17::/64",
    ...options.split(" "),
  ]);
  for (const address of [mesh.b.address4, mesh.b.address6])
    expect((await curl(mesh.c, url(address))).output).toBe("container");
});

/** Pod b acts as the host. */
async function published(): Promise<Mesh> {
  const mesh = Mesh.create();
  const inside = mesh.extraPod();
  await publish(mesh.b, inside.namespace);
  await serveHttp(inside, 80, "container");
  return mesh;
}
