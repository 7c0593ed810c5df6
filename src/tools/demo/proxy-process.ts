/** The proxy as a separate process beside a host's application: this executable, started again. */
import { Deadline } from "../../runtime/deadline.ts";
import { ask } from "./client.ts";
import { linesOf, type ProxyOrder, type Started } from "./messages.ts";
import { statusPort } from "./topology.ts";

export class ProxyProcess {
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #log: string[] = [];

  /** Runs `self` in the caller's network namespace. */
  constructor(self: readonly string[], { options }: ProxyOrder) {
    this.#child = Bun.spawn([...self, "run", ...options], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    void this.#collect();
  }

  /** The first log line with `text`, even if it has not arrived yet; null if none arrives in time. */
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

  /** True once GET /readyz answers 200; false if the process ends first or takes too long. */
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

/** The pause between two polls. */
async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => new Deadline(milliseconds, resolve));
}

const startMsMax = 5000;
