/** A host from the director's point of view: a process that executes one order after the other. */
import { ProxyError } from "../../runtime/errors.ts";
import { linesOf, type OrderName, type Orders, type HostReport } from "./messages.ts";
import { hosts, type HostName } from "./topology.ts";

export class Remote {
  readonly name: HostName;
  /** The pid in the director's PID namespace; the network namespace is its own. */
  readonly pid: number;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncGenerator<string>;

  private constructor(
    name: HostName,
    pid: number,
    child: Bun.Subprocess<"pipe", "pipe", "inherit">,
    lines: AsyncGenerator<string>,
  ) {
    this.name = name;
    this.pid = pid;
    this.#child = child;
    this.#lines = lines;
  }

  /** Starts a host. `foreign`: network namespaces that it must not be in. Throws DEMO_FAILED. */
  static async start(
    name: HostName,
    self: readonly string[],
    foreign: readonly string[],
  ): Promise<Remote> {
    const child = Bun.spawn([...self, "demo-host", name], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      cwd: "/",
    });
    const lines = linesOf(child.stdout);
    const here = await next(name, lines);
    if (here.kind !== "here") throw failed(name, "said nothing of where it is");
    if (foreign.includes(here.network)) throw failed(name, "has no network of its own");
    return new Remote(name, here.pid, child, lines);
  }

  /** Sends an order and waits for its result. Throws DEMO_FAILED with the host's error. */
  async order<Name extends OrderName>(
    name: Name,
    takes: Orders[Name]["takes"],
  ): Promise<Orders[Name]["gives"]> {
    void this.#child.stdin.write(`${JSON.stringify({ name, takes })}\n`);
    await this.#child.stdin.flush();
    const report = await next(this.name, this.#lines);
    if (report.kind === "failed") throw failed(this.name, `${name}: ${report.message}`);
    if (report.kind === "here") throw failed(this.name, "started twice");
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the host is this program
    return report.gives as Orders[Name]["gives"];
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

async function next(name: HostName, lines: AsyncGenerator<string>): Promise<HostReport> {
  const { value, done } = await lines.next();
  if (done === true) throw failed(name, "ended");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the host is this program
  return JSON.parse(value) as HostReport;
}

function failed(name: HostName, what: string): ProxyError {
  return new ProxyError("DEMO_FAILED", `${hosts[name].title} ${what}`);
}
