/** With --preexisting leave, only connections that were open before the proxy started continue in cleartext. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { metrics } from "../support/status.ts";

test.each(["IPv4", "IPv6"])(
  "a preexisting connection survives start and restart, %s",
  async (family) => {
    const mesh = Mesh.create();
    const address = family === "IPv4" ? mesh.b.address4 : mesh.b.address6;
    const { client, server } = await mesh.connection(address);
    expect(server.peer).toContain(family === "IPv4" ? mesh.a.address4 : mesh.a.address6);
    await client.say("before,");
    await server.received(7);

    await mesh.startProxies("--preexisting", "leave");
    await client.say("started,");
    await server.say("answer");
    expect((await server.received(15)).text).toBe("before,started,");
    expect((await client.received(6)).text).toBe("answer");

    for (const [at, pod] of [mesh.a, mesh.b].entries()) {
      await mesh.proxies[at]?.end("SIGKILL");
      mesh.proxies[at] = await mesh.proxy(pod, ["--preexisting", "leave"]);
    }
    await client.say("again");
    await client.end();
    await server.end();
    expect((await server.finish()).text).toBe("before,started,again");
    expect((await client.finish()).ending).toBe("end");

    await mesh.connection(address);
    const carried = `tproxy_tcp_open_total{direction="inbound"}`;
    expect((await metrics(mesh.b)).get(carried)).toBe(1);
  },
);
