/** An application in a pod, driven by the test through agent.ts. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";

import type { Call, Ending } from "./calls.ts";

export type AgentProcess = Bun.Subprocess<"pipe", "pipe", "inherit">;

export type Finished = {
  readonly bytes: number;
  readonly sha256: string;
  readonly text: string;
  readonly ending: Ending;
};

/** An application in a pod. Socket errors are thrown as Error with the code as message. */
export class Agent {
  readonly #child: AgentProcess;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 0;

  constructor(child: AgentProcess) {
    this.#child = child;
    void this.#listen(child.stdout);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Kills the application; its kernel closes its sockets. Pending and later calls fail. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async listen(host: string, port: number): Promise<AgentListener> {
    const listener = (await this.call({ op: "listen", host, port })) as number;
    return new AgentListener(this, listener);
  }

  async connect(host: string, port: number): Promise<AgentSocket> {
    return new AgentSocket(
      this,
      (await this.call({ op: "connect", host, port })) as number,
      "",
      "",
    );
  }

  /** Connects and waits for the end; returns how it ended, or the error code of the connect. */
  async attempt(host: string, port: number): Promise<Ending> {
    try {
      return (await (await this.connect(host, port)).finish()).ending;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async call(call: Call): Promise<unknown> {
    if (this.#child.killed) throw new Error("the agent is gone");
    const id = (this.#next += 1);
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    void this.#child.stdin.write(`${JSON.stringify({ ...call, id })}\n`);
    void this.#child.stdin.flush();
    return await pending.promise;
  }

  async #listen(stdout: ReadableStream<Uint8Array>): Promise<void> {
    const input = Readable.fromWeb(stdout as never);
    for await (const line of createInterface({ input })) {
      const { id, result, error } = JSON.parse(line) as Answer;
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) pending?.resolve(result);
      else pending?.reject(new Error(error));
    }
    for (const pending of this.#pending.values()) pending.reject(new Error("the agent is gone"));
  }
}

type Answer = { readonly id: number; readonly result?: unknown; readonly error?: string };

export class AgentListener {
  readonly #agent: Agent;
  readonly #listener: number;

  constructor(agent: Agent, listener: number) {
    this.#agent = agent;
    this.#listener = listener;
  }

  async accept(): Promise<AgentSocket> {
    const accepted = (await this.#agent.call({ op: "accept", listener: this.#listener })) as {
      socket: number;
      peer: string;
      local: string;
    };
    return new AgentSocket(this.#agent, accepted.socket, accepted.peer, accepted.local);
  }
}

/** One end of a TCP connection inside a pod. */
export class AgentSocket {
  readonly peer: string;
  readonly local: string;
  readonly #agent: Agent;
  readonly #socket: number;

  constructor(agent: Agent, socket: number, peer: string, local: string) {
    this.#agent = agent;
    this.#socket = socket;
    this.peer = peer;
    this.local = local;
  }

  /** Writes this many bytes of the pattern (pattern.ts); resolves when the kernel has taken them all. */
  async write(bytes: number): Promise<void> {
    await this.#agent.call({ op: "write", socket: this.#socket, bytes });
  }

  /** Sends the same text repeatedly until the connection ends. */
  chatter(text: string): void {
    const call = { op: "write", socket: this.#socket, bytes: 1e9, text } as const;
    void this.#agent.call(call).catch(() => undefined);
  }

  async say(text: string): Promise<void> {
    await this.#agent.call({ op: "say", socket: this.#socket, text });
  }

  async sayBytes(bytes: Uint8Array): Promise<void> {
    const text = Buffer.from(bytes).toString("latin1");
    await this.#agent.call({ op: "say", socket: this.#socket, text, bytes: true });
  }

  /** Ends this direction: FIN. */
  async end(): Promise<void> {
    await this.#agent.call({ op: "end", socket: this.#socket });
  }

  /** RST. */
  async reset(): Promise<void> {
    await this.#agent.call({ op: "reset", socket: this.#socket });
  }

  async pause(): Promise<void> {
    await this.#agent.call({ op: "pause", socket: this.#socket });
  }

  async resume(): Promise<void> {
    await this.#agent.call({ op: "resume", socket: this.#socket });
  }

  /** Waits until this many bytes have arrived, or the end. */
  async received(bytes: number): Promise<{ bytes: number; text: string }> {
    const call = { op: "received", socket: this.#socket, bytes } as const;
    return (await this.#agent.call(call)) as { bytes: number; text: string };
  }

  /** Waits for the end of the peer's direction, and returns what arrived before it. */
  async finish(): Promise<Finished> {
    return (await this.#agent.call({ op: "finish", socket: this.#socket })) as Finished;
  }

  /** Waits until nothing is left of the connection, and returns how it ended: "end", or an RST after it. */
  async gone(): Promise<Ending> {
    return (await this.#agent.call({ op: "gone", socket: this.#socket })) as Ending;
  }
}
