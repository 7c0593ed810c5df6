/** Every frame on a cluster's bridge, captured by tcpdump on the engine's host, outside all pods. */
import { docker, transient } from "./docker.ts";

export class BridgeCapture {
  readonly #name: string;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #bytes = Buffer.alloc(0);
  #said = "";
  #waiting: (() => void)[] = [];
  readonly #read: Promise<unknown>;

  private constructor(name: string, child: Bun.Subprocess<"ignore", "pipe", "pipe">) {
    this.#name = name;
    this.#child = child;
    this.#read = Promise.all([
      this.#follow(child.stdout, (chunk) => {
        this.#bytes = Buffer.concat([this.#bytes, chunk]);
      }),
      this.#follow(child.stderr, (chunk) => {
        this.#said += Buffer.from(chunk).toString();
      }),
    ]);
  }

  /** Resolves when tcpdump sees frames. */
  static async start(bridge: string, tools: string): Promise<BridgeCapture> {
    const name = `${bridge}-capture`;
    const flags = [...transient, "--name", name, "--network", "host"];
    const how = ["-i", bridge, "-B", "16384", "-U", "--immediate-mode", "-Z", "root", "-w", "-"];
    const command = ["docker", ...flags, tools, "tcpdump", ...how];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const capture = new BridgeCapture(name, child);
    await capture.#until(() => capture.#said.includes("listening on"));
    return capture;
  }

  /** Waits until this text has passed, ends, and returns the frames; throws if the kernel has dropped any. */
  async finish(marker: string): Promise<Uint8Array[]> {
    await this.#until(() => this.#bytes.includes(marker));
    await docker("kill", "--signal", "INT", this.#name);
    await this.#child.exited;
    await this.#read;
    if (!/^0 packets dropped by kernel/m.test(this.#said)) throw new Error(this.#said);
    return framesOf(this.#bytes);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#child.exitCode !== null) throw new Error(`tcpdump has ended: ${this.#said}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #follow(
    stream: ReadableStream<Uint8Array>,
    take: (chunk: Uint8Array) => void,
  ): Promise<void> {
    for await (const chunk of stream) {
      take(chunk);
      this.#wake();
    }
    await this.#child.exited;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** pcap-savefile(5): a header of 24 bytes, and one of 16 before each frame, in this machine's byte order. */
function framesOf(file: Buffer): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 24; at + 16 <= file.length;) {
    const size = file.readUInt32LE(at + 8);
    frames.push(file.subarray(at + 16, at + 16 + size));
    at += 16 + size;
  }
  return frames;
}
