/** The topic `containers`: runs its compose file and its commands as written, in a shell. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";

import { Cluster } from "../support/containers.ts";
import { down, readProject, up, type Project } from "../support/compose.ts";
import { docker, imageUnderTest, toolsImage, tryDocker } from "../support/docker.ts";
import { builtExecutable, type Output } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { topicText } from "../support/topics.ts";

/** Uses only its network: a free range, which is released before the topic's own network is created. */
const cluster = await Cluster.create({ range4: "10.86.%", range6: "fd86:%" });
const prefix = `tp${process.pid.toString(36)}`;
const published = 20_000 + (process.pid % 10_000);
const directory = temporaryDirectory();
const tools = await toolsImage();

/** Replaces the topic's names, ranges and images by this run's: an engine may already have some with these names. */
function own(text: string): string {
  return text
    .replaceAll(/\b(shop|orders)-proxy\b/g, `${prefix}-$1-proxy`)
    .replaceAll(
      /(container_name: |docker exec |docker logs |--detach --name |container:)(shop|orders)\b(?!-)/g,
      `$1${prefix}-$2`,
    )
    .replaceAll(/\bimage: busybox\b/g, `image: ${tools}`)
    .replaceAll(/ALL busybox sleep/g, `ALL ${tools} sleep`)
    .replaceAll("tproxy:dev", imageUnderTest())
    .replaceAll(/^name: mesh$/gm, `name: ${prefix}`)
    .replaceAll(/(--network|24) mesh\b/g, `$1 ${prefix}-mesh`)
    .replaceAll("10.8.0.", `${cluster.prefix.address4}.`)
    .replaceAll('"8080:8080"', `"${published}:8080"`);
}

const topic = own(topicText("containers"));
const project = readProject(/^```yml\n([^]*?)^```$/m.exec(topic)?.[1] ?? "");

/** The commands below a heading. */
function commandsOf(heading: string): readonly string[] {
  const section = topic.slice(topic.indexOf(`\n## ${heading}\n`) + 1).split("\n## ")[0] ?? "";
  const blocks = [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text = ""]) => text);
  return blocks.join("").replaceAll("\\\n", " ").trim().split("\n");
}

/** Runs a command in a shell, with the program in PATH as `tls-tproxy`. */
async function type(command: string): Promise<Output> {
  const PATH = `${directory}/bin:${process.env["PATH"] ?? ""}`;
  const child = Bun.spawn(["sh", "-ec", command], {
    cwd: directory,
    env: { ...process.env, PATH },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

beforeAll(async () => {
  mkdirSync(`${directory}/bin`);
  symlinkSync(builtExecutable(), `${directory}/bin/tls-tproxy`);
  await docker("network", "rm", cluster.name);
  for (const command of commandsOf("Quick start"))
    if (command.startsWith("tls-tproxy certs")) await succeed(command);
});

async function succeed(command: string): Promise<string> {
  const { code, stdout, stderr } = await type(command);
  expect([command, code, code === 0 ? "" : stdout + stderr]).toEqual([command, 0, ""]);
  return stdout + stderr;
}

/** Connects from a process on the engine's machine. */
async function fromTheMachine(host: string): Promise<Output> {
  return await cluster.node("curl", "-s", "--max-time", "10", `http://${host}:${published}/`);
}

/** The machine's own addresses for the published port. */
const machine = ["127.0.0.1", own("10.8.0.1")];

describe("the quick start", () => {
  beforeAll(async () => {
    await up(project, directory);
  });
  afterAll(async () => {
    await down(project);
  });

  test("its commands work as written, and end with an answer over mutual TLS", async () => {
    const outputs = new Map<string, string>();
    for (const command of commandsOf("Quick start"))
      if (!/^(tls-tproxy certs|docker compose up) /.test(command))
        outputs.set(command, await succeed(command));
    const of = (word: string): string =>
      [...outputs].find(([command]) => command.includes(word))?.[1] ?? "";
    expect(of("wget")).toBe("hello from orders\n");
    expect(of("docker logs")).toContain("peer=spiffe://example.org/ns/default/sa/orders");
    const log = await succeed(own("docker logs orders-proxy"));
    expect(log).toContain("peer=spiffe://example.org/ns/default/sa/shop");
    expect(of("check")).toMatch(/✓ files: /);
  });

  test.each(["ready", "check --credentials /certs", "rules --print", "why 10.8.0.3:8080"])(
    "docker exec shop-proxy tls-tproxy %s works",
    async (command) => {
      expect(topicText("containers")).toContain(`\`${command.split(" --cred")[0] ?? ""}`);
      expect(await succeed(own(`docker exec shop-proxy tls-tproxy ${command}`))).not.toBe("");
    },
  );

  test.each(machine)("a plain client at the published port on %s is refused", async (host) => {
    const { code, stdout } = await fromTheMachine(host);
    expect([stdout, code === 0]).toEqual(["", false]);
    const log = await succeed(own("docker logs orders-proxy"));
    expect(log).toMatch(new RegExp(`inbound\\] .*from ${own("10.8.0.1")}:`));
  });

  test("over loopback the application answers within its own network", async () => {
    const command = own("docker exec orders wget -q -O - http://127.0.0.1:8080/");
    expect(await succeed(command)).toBe("hello from orders\n");
  });
});

describe("with the published port excluded", () => {
  const name = own("orders-proxy");
  const orders = project.services[name];
  if (orders === undefined) throw new Error("the topic has no orders-proxy");
  const command = `${orders.command} --exclude-inbound-port 8080`;
  const changed: Project = {
    ...project,
    services: { ...project.services, [name]: { ...orders, command } },
  };
  beforeAll(async () => {
    await up(changed, directory);
  });
  afterAll(async () => {
    await down(changed);
  });

  test.each(machine)(
    "a plain client at %s gets an answer, and is seen as the gateway",
    async (host) => {
      expect((await fromTheMachine(host)).stdout).toBe("hello from orders\n");
      expect(await succeed(own("docker logs orders"))).toContain(own("10.8.0.1"));
    },
  );

  test("a peer is refused, because its proxy demands TLS", async () => {
    const peer = await type(own("docker exec shop wget -q -O - http://10.8.0.3:8080/"));
    expect([peer.code === 0, peer.stdout]).toEqual([false, ""]);
  });
});

describe("a sidecar beside a running container", () => {
  afterAll(async () => {
    await tryDocker("rm", "--force", ...own("shop-proxy container:shop").split(/ (?:container:)?/));
    await tryDocker("network", "rm", `${prefix}-mesh`);
  });

  test("its commands work as written", async () => {
    for (const command of commandsOf("A sidecar beside a running container"))
      await succeed(command);
    for (;;) {
      const { code, stderr } = await type(own("docker exec shop-proxy tls-tproxy ready"));
      if (code === 0) break;
      if (stderr.includes("is not running"))
        throw new Error(await succeed(own("docker logs shop-proxy")));
    }
    expect(await succeed(own("docker logs shop-proxy"))).toContain("] ready");
  });
});
