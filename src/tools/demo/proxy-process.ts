/** The proxy as a process of its own beside a host's application: this executable, started again. */
import { Deadline } from "../../runtime/deadline.ts";
import { ask } from "./client.ts";
import { linesOf, type ProxyOrder, type Started } from "./messages.ts";
import { statusPort } from "./topology.ts";

export class ProxyProcess {
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #log: string[] = [];

  /** Runs `self`; the network namespace is the caller's. */
  constructor(self: readonly string[], { options }: ProxyOrder) {
    this.#child = Bun.spawn([...self, "run", ...options], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    void this.#collect();
  }

  /** The first line with `text`, which may still be on its way; null if none comes in time. */
  async findLine(text: string, msMax: number): Promise<string | null> {
    const limit = performance.now() + msMax;
    for (;;) {
      const line = this.#log.find((one) => one.includes(text));
      if (line !== undefined) return line;
      if (performance.now() > limit) return null;
      // oxlint-disable-next-line no-await-in-loop -- a look after the other
      await pause(10);
    }
  }

  /** True once GET /readyz says 200; false if the process ends first or takes too long. */
  async start(): Promise<Started> {
    const limit = performance.now() + startMsMax;
    while (this.#child.exitCode === null && performance.now() < limit) {
      // oxlint-disable-next-line no-await-in-loop -- a look after the other
      if (await isReady()) return { ready: true, log: this.#log };
      // oxlint-disable-next-line no-await-in-loop -- a look after the other
      await pause(10);
    }
    return { ready: false, log: this.#log };
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#child.kill(signal);
    await this.#child.exited;
  }

  async #collect(): Promise<void> {
    for await (const line of linesOf(this.#child.stderr)) this.#log.push(line);
  }
}

async function isReady(): Promise<boolean> {
  const question = { port: statusPort, path: "/readyz", msMax: startMsMax, tls: null };
  const outcome = await ask({ address: "127.0.0.1", ...question });
  return outcome.kind === "answer" && outcome.status === 200;
}

/** For what can only be asked again and again. */
async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

const startMsMax = 5000;
