/** Containers inside a pod reach destinations outside the mesh, and never the mesh in cleartext. */
import { beforeAll, expect, test } from "bun:test";

import { hungMs } from "../support/deadline.ts";
import { addChain, runScript } from "../support/foreign.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

const mesh = Mesh.create();
const { b, c } = mesh;
/** Addresses of c outside the mesh. */
const outside = { 4: "198.51.100.9", 6: "2001:db8::9" } as const;
const inner = { 4: "172.17.0", 6: "fd17:" } as const;

beforeAll(async () => {
  await serveHttp(c, 8080, "from c");
  await serveHttp(b, 8080, "from b");
  await runScript(c, `ip addr add ${outside[4]}/32 dev lo; ip addr add ${outside[6]}/128 dev lo`);
  await mesh.proxy(b);
});

async function asked(from: Pod, host: string, port = 8080): Promise<string> {
  const command = ["curl", "--silent", "--max-time", "3", `http://${host}:${port}/`];
  return (await from.run(command)).stdout;
}

type Docker = { readonly pod: Pod; readonly containers: readonly [Pod, Pod] };

/** A pod with a proxy and, as with Docker, a bridge with two containers; port 8081 is published. */
async function docker(options: readonly string[] | null): Promise<Docker> {
  const pod = mesh.extraPod();
  const containers = [mesh.extraPod(), mesh.extraPod()] as const;
  await runScript(
    pod,
    `ip link add docker0 type bridge; ip link set docker0 up
    ip addr add ${inner[4]}.1/16 dev docker0; ip addr add ${inner[6]}:1/64 dev docker0 nodad
    ip route add ${outside[4]} via ${c.address4}; ip -6 route add ${outside[6]} via ${c.address6}
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`,
  );
  for (const [at, container] of containers.entries()) {
    const number = at + 2;
    await runScript(
      pod,
      `ip link add v${number} type veth peer name eth1 netns ${container.namespace}
      ip link set v${number} master docker0 up`,
    );
    await runScript(
      container,
      `ip link del eth0; ip link set eth1 up
      ip addr add ${inner[4]}.${number}/16 dev eth1; ip addr add ${inner[6]}:${number}/64 dev eth1 nodad
      ip route add default via ${inner[4]}.1; ip -6 route add default via ${inner[6]}:1`,
    );
    await serveHttp(container, 8080, `container ${number}`);
  }
  await addChain(pod, {
    hook: "postrouting",
    type: "nat",
    priority: 100,
    rules: `ip saddr ${inner[4]}.0/16 oifname != "docker0" masquerade
    ip6 saddr ${inner[6]}:/64 oifname != "docker0" masquerade`,
  });
  await addChain(pod, {
    hook: "prerouting",
    type: "nat",
    priority: -100,
    rules: `fib daddr type local tcp dport 8081 dnat ip to ${inner[4]}.2:8080
    fib daddr type local tcp dport 8081 dnat ip6 to [${inner[6]}:2]:8080`,
  });
  if (options !== null) await mesh.proxy(pod, options);
  return { pod, containers };
}

const toMesh = [c.address4, `[${c.address6}]`, b.address4];
const toOthers = [outside[4], `[${outside[6]}]`];

test(
  "control: without a proxy the containers reach every destination, and are reached",
  async () => {
    const { pod, containers } = await docker(null);
    for (const host of [...toMesh.slice(0, 2), ...toOthers])
      expect(await asked(containers[0], host)).toBe("from c");
    for (const host of [pod.address4, `[${pod.address6}]`])
      expect(await asked(c, host, 8081)).toBe("container 2");
  },
  hungMs,
);

test.each([
  [[]],
  [["--inbound-port", "8080"]],
  [["--inbound-port", "none"]],
  [["--exclude-inbound-port", "9"]],
  [["--exclude-uid", "9"]],
])(
  "containers reach each other and destinations outside the mesh, but nothing in the mesh: %p",
  async (options) => {
    const { containers } = await docker(options);
    const [first] = containers;
    for (const host of toOthers) expect(await asked(first, host)).toBe("from c");
    for (const host of toMesh) expect(await asked(first, host)).toBe("");
    expect(await asked(first, `${inner[4]}.3`)).toBe("container 3");
    expect(await asked(first, `[${inner[6]}:3]`)).toBe("container 3");
  },
  hungMs,
);

test(
  "NAT from an outside address into the mesh does not begin a connection either",
  async () => {
    const { pod, containers } = await docker([]);
    await addChain(pod, {
      hook: "prerouting",
      type: "nat",
      priority: -101,
      rules: `ip daddr ${outside[4]} tcp dport 81 dnat ip to ${c.address4}:8080`,
    });
    expect(await asked(containers[0], outside[4], 81)).toBe("");
    expect(await asked(containers[0], outside[4])).toBe("from c");
  },
  hungMs,
);

test(
  "a port published to a container is open if excluded, and closed if strict",
  async () => {
    for (const [options, answer] of [
      [[], ""],
      [["--exclude-inbound-port", "8081"], "container 2"],
      [["--inbound-port", "8080"], "container 2"],
    ] as const) {
      const { pod } = await docker(options);
      for (const host of [pod.address4, `[${pod.address6}]`])
        expect(await asked(c, host, 8081)).toBe(answer);
    }
  },
  hungMs,
);

test.each([
  [["--forwarded", "leave"], "from c"],
  [["--only-uid", "9"], "from c"],
  [["--mesh-cidr", "10.1.0.0/16", "--mesh-cidr", "fd01::/64", "--host"], "from c"],
])(
  "forwarded traffic is left alone if configured: %p",
  async (options, answer) => {
    const scope = options.includes("--host") ? ["--inbound-port", "none"] : [];
    const { containers } = await docker([...options, ...scope]);
    expect(await asked(containers[0], c.address4)).toBe(answer);
    expect(await asked(containers[0], `[${c.address6}]`)).toBe(answer);
  },
  hungMs,
);
