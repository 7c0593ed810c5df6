/** A start that fails, at whatever step, costs no connection from before it: these are reset last. */
import { expect, test } from "bun:test";

import type { AgentSocket } from "../support/application.ts";
import { kernelState } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod } from "../support/pods.ts";

type Start = {
  readonly output: string;
  /** False: it is ready. Then it was ended. */
  readonly failed: boolean;
};

/** A pod with connections in both directions. */
class Pair {
  readonly mesh = Mesh.create();
  readonly pod: Pod = this.mesh.b;
  readonly #sockets: AgentSocket[] = [];

  async connect(): Promise<void> {
    const { b, c } = this.mesh;
    const [toB, toC] = [await b.agent.listen("::", 8080), await c.agent.listen("::", 8080)];
    const inward = await c.agent.connect(b.address4, 8080);
    this.#sockets.push(inward, await toB.accept());
    const outward = await b.agent.connect(c.address6, 8080);
    this.#sockets.push(outward, await toC.accept());
  }

  /** Each end still receives what the other sends. */
  async isIntact(text: string): Promise<void> {
    for (const [at, one] of this.#sockets.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await one.say(text);
      // oxlint-disable-next-line no-await-in-loop -- its arrival
      expect((await this.#sockets[at ^ 1]?.received(text.length))?.text).toEndWith(text);
    }
  }

  async start(command: readonly string[], environment: Record<string, string>): Promise<Start> {
    const flags = flagsOf(this.mesh.credentials(this.pod));
    const proxy = this.pod.start([...command, ...flags], environment);
    const ready = proxy.says(/ready\n/).then(
      () => true,
      () => false,
    );
    const failed = !(await ready);
    if (!failed) await proxy.end("SIGKILL");
    await proxy.child.exited;
    return { output: proxy.output, failed };
  }
}

const modes = ["kept", "dropped"] as const;
const preload = `${import.meta.dir}/../support/failing-listen.ts`;
const source = ["bun", "--preload", preload, `${import.meta.dir}/../../src/main.ts`];

test.each(modes)("when any socket cannot be served, with --privileges %s", async (mode) => {
  const pair = new Pair();
  await pair.connect();
  const before = await kernelState(pair.pod);
  let number = 1;
  for (; ; number += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: they use the same ports
    const { output, failed } = await pair.start([...source, "--privileges", mode], {
      FAILING_LISTEN: String(number),
    });
    if (!failed) break;
    expect(output).toMatch(/^tls-tproxy: [^\n]*ENOMEM[^\n]*memory[^\n]*\n$/);
    expect(output).not.toMatch(/the TLS library|--cert|certificate/);
    // oxlint-disable-next-line no-await-in-loop -- after this start
    expect(await kernelState(pair.pod)).toBe(before);
    // oxlint-disable-next-line no-await-in-loop -- after this start
    await pair.isIntact(`after ${number}, `);
  }
  // The handshake with ourselves, then a listener for each direction and family.
  expect(number).toBeGreaterThan(5);
});

test("a start that fails and cannot remove its rules says both, and how to remove them", async () => {
  const pair = new Pair();
  const limited = ["prlimit", `--nofile=${descriptorsMax}:${descriptorsMax}`, ...source];
  let output = "";
  for (let number = 1; !/rules/.test(output); number += 1) {
    const environment = { FAILING_LISTEN: String(number), NOTHING_FREE: "1" };
    // oxlint-disable-next-line no-await-in-loop -- one after the other: they use the same ports
    const end = await pair.start([...limited, "--privileges", "kept"], environment);
    expect(end.failed).toBeTrue();
    output = end.output;
  }
  expect(output).toMatch(
    /^tls-tproxy: cannot listen \(--status-address .*ENOMEM.*\. The rules stay, because they cannot be removed: .*EMFILE.*\. Then run: tls-tproxy rules --remove\n$/,
  );
  expect((await pair.pod.run([...executable(), "rules", "--remove"])).code).toBe(0);
  expect((await pair.pod.run(["nft", "list", "ruleset"])).stdout).toBe("");
});

/** More than a start needs at least: proxy/bounds.ts. */
const descriptorsMax = 300;
/** Opens so many descriptors, and then becomes another program. */
const holding = [
  "prlimit",
  `--nofile=${descriptorsMax}:${descriptorsMax}`,
  "bash",
  "-c",
  'for ((i = 0; i < $0; i += 1)); do exec {fd}</dev/null; done; exec "$@"',
];

test.each(modes)("when descriptors are short, with --privileges %s", async (mode) => {
  const pair = new Pair();
  const start = async (taken: number): Promise<Start> =>
    await pair.start([...holding, String(taken), ...executable(), "--privileges", mode], {});
  let [works, fails] = [0, descriptorsMax - 10];
  while (fails - works > 1) {
    const middle = Math.floor((works + fails) / 2);
    // oxlint-disable-next-line no-await-in-loop -- each result decides on the next
    if ((await start(middle)).failed) fails = middle;
    else works = middle;
  }
  await pair.pod.run([...executable(), "rules", "--remove"]);
  await pair.connect();
  const before = await kernelState(pair.pod);
  for (let taken = fails; taken < descriptorsMax - 10; taken += 3) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: they use the same ports
    const { output, failed } = await start(taken);
    expect([failed, output]).toEqual([
      true,
      expect.stringMatching(/^tls-tproxy: [^\n]*EMFILE[^\n]*ulimit -n[^\n]*\n$/),
    ]);
    expect(output).not.toMatch(/the TLS library|--cert|certificate/);
    // oxlint-disable-next-line no-await-in-loop -- after this start
    expect(await kernelState(pair.pod)).toBe(before);
  }
  await pair.isIntact("still open");
});
