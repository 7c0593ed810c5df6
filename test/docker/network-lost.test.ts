/** A pod loses its network and gets it back: open connections continue, new ones are made, none in cleartext. */
import { expect, test } from "bun:test";

import { Cluster, type Pod } from "../support/containers.ts";
import { deadlineMs } from "../support/deadline.ts";
import { docker } from "../support/docker.ts";

const cluster = await Cluster.create();
const [a, c] = await Promise.all([cluster.pod("a"), cluster.pod("c")]);
const options = ["--connect-timeout", "2s"];
const proxyA = await a.proxy({ credentials: cluster.certificate(a), options });

async function disconnect(pod: Pod): Promise<void> {
  await docker("network", "disconnect", cluster.name, pod.pause.name);
}

async function reconnect(pod: Pod): Promise<void> {
  const place = ["--ip", pod.address4, "--ip6", pod.address6];
  await docker("network", "connect", ...place, cluster.name, pod.pause.name);
}

test("open connections continue, and new ones are refused until the network is back", async () => {
  const b = await cluster.pod("b");
  await b.proxy({ credentials: cluster.certificate(b), options });
  const listener = await b.agent().listen("::", 9000);
  const [client, server] = await Promise.all([
    a.agent().connect(b.address4, 9000),
    listener.accept(),
  ]);
  await client.say("before");
  await server.received(6);

  await disconnect(b);
  await client.say("during");
  expect((await a.curl(`http://${b.address4}:8080/`)).code).not.toBe(0);
  const destination = String.raw`destination \[${b.address4}:8080\]`;
  await proxyA.says(new RegExp(`${destination}: (no route to host|connection timed out)`));
  expect((await b.curl(`http://${c.address4}:8080/`)).code).not.toBe(0);
  expect((await b.curl("http://127.0.0.1:8080/")).stdout).toBe("hello from b\n");

  await reconnect(b);
  expect((await server.received(12)).text).toBe("beforeduring");
  expect((await a.curl(`http://${b.address4}:8080/`)).stdout).toBe("hello from b\n");
  expect((await a.curl(`http://[${b.address6}]:8080/`)).stdout).toBe("hello from b\n");
  expect((await b.curl(`http://${a.address4}:8080/`)).stdout).toBe("hello from a\n");
  for (const host of [b.address4, `[${b.address6}]`])
    expect((await c.curl(`http://${host}:8080/`)).stdout).toBe("");
  for (const host of [c.address4, `[${c.address6}]`])
    expect((await b.exec("curl", "-s", "-m", "2", `http://${host}:8080/`)).stdout).toBe("");
});

test("afterwards the rules are unchanged, IPv6 works both ways, and the proxy is ready", async () => {
  const b = await cluster.pod("b6");
  // With its privileges kept, the proxy repairs the rules itself.
  const kept = [...options, "--privileges", "kept"];
  await b.proxy({ credentials: cluster.certificate(b), options: kept });
  const rules = await b.rules();
  await disconnect(b);
  await reconnect(b);
  expect((await b.exec("curl", "-s", "-m", "5", `http://[${a.address6}]:8080/`)).stdout).toBe(
    "hello from a\n",
  );
  // Docker removes IPv6 from `lo` when no network has IPv6 any more, and with it the diverting route. The interface
  // that it adds later has another name and index, which the routes by interface must follow. The proxy reacts to
  // each step of Docker's and writes the routes one after the other.
  const until = Date.now() + deadlineMs(10_000);
  let now = "";
  do now = anyInterface(await b.rules());
  while (now !== anyInterface(rules) && Date.now() < until);
  expect(now).toBe(anyInterface(rules));
  expect((await b.curl("http://127.0.0.1:15020/readyz")).stdout).toBe("ready\n");
});

function anyInterface(rules: string): string {
  return rules.replaceAll(/dev eth\d+ (.*)metric \d+/g, "dev eth $1metric");
}
