/** Clients with a source port below 1024 as proof of root (NFS, rsh, LPD): applications see such a port. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { askOnce, serveMirror, sourcesCounted } from "../support/sights.ts";

/** With reserved ports, as hosts and older runtimes have them. */
async function pods(): Promise<Mesh> {
  const mesh = Mesh.create();
  for (const pod of [mesh.a, mesh.b])
    await pod.run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024"]);
  await serveMirror(mesh.b, 2049);
  await serveMirror(mesh.b, 2050, mesh.b.address4);
  return mesh;
}

const without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"];
const highPorts = ["--tcp-port", "15001", "--tls-port", "15002", "--inspect-port", "15003"];

test.each(["dropped", "kept"])(
  "--privileges %s: the application sees the client's own port",
  async (privileges) => {
    const mesh = await pods();
    await mesh.startProxies("--privileges", privileges);
    const [four, six] = [mesh.b.address4, mesh.b.address6];
    for (const [host, port, from] of [
      [four, 2049, 701],
      [six, 2049, 702],
      [four, 2050, 703],
    ] as const) {
      const { own, seen, error } = await askOnce(mesh.a, { host, port, from });
      expect([error, seen]).toEqual(["", own]);
      expect(seen).toEndWith(`:${from}`);
    }
  },
);

test("without CAP_NET_BIND_SERVICE another port is used, and the log names the missing capability", async () => {
  const mesh = await pods();
  await mesh.proxy(mesh.a);
  const flags = [...highPorts, "--privileges", "dropped"];
  const paths = mesh.credentials(mesh.b);
  const own = ["--cert", paths.certificate, "--key", paths.key, "--ca-cert", paths.authority];
  const proxy = await mesh.b.proxy([...own, ...flags], without);
  const { seen, error } = await askOnce(mesh.a, { host: mesh.b.address4, port: 2049, from: 704 });
  expect([error, seen.split(":")[0]]).toEqual(["", mesh.a.address4]);
  await proxy.says(
    /W\S+ .*inbound\] an application here does not see the port of 10\.77\.0\.1:704, which is below/,
  );
  expect(await sourcesCounted(mesh.b)).toEqual({ "ip/reserved-port": 1 });
});
