/** Events at one end of a connection, and what the application at the other end sees of them. */
import type { Agent, AgentSocket } from "./application.ts";
import { Mesh } from "./mesh.ts";
import type { Pod } from "./pods.ts";

export type Side = "client" | "server";
export const sides: readonly Side[] = ["client", "server"];

/** How the two applications are connected. */
export type Way = "without a proxy" | "through both proxies";
export const ways: readonly Way[] = ["without a proxy", "through both proxies"];

/** What an application sees, in words: "5 bytes, end". The first of each pair is the reference. */
export type Sight = Readonly<Record<Way, string>>;

/** The same with proxies as without. */
export function alike(sight: string): Sight {
  return { "without a proxy": sight, "through both proxies": sight };
}

/** A connection between two applications: one acts, the other watches. */
export type Scene = {
  readonly actor: AgentSocket;
  readonly watcher: AgentSocket;
  readonly actors: Where;
  readonly watchers: Where;
  /** Waits until no bytes move between the pods. */
  readonly standstill: () => Promise<void>;
};

export type Where = { readonly pod: Pod; readonly agent: Agent };

export type Row = {
  /** What the actor does, or what happens to it: "the client …". */
  readonly event: string;
  /** The actor's process is killed, so it must have a process of its own. */
  readonly mortal?: boolean;
  /** Does it, and returns what was seen. */
  readonly play: (scene: Scene) => Promise<string>;
  readonly sight: Sight;
};

/** Two pods, with proxies or without. */
export class Stage {
  readonly mesh = Mesh.create();
  #port = 9000;

  async start(way: Way, ...options: readonly string[]): Promise<void> {
    if (way === "through both proxies") await this.mesh.startProxies(...options);
  }

  /** A new connection from a to b. */
  async scene(by: Side, mortal = false): Promise<Scene> {
    const { a, b } = this.mesh;
    const port = (this.#port += 1);
    const clients = whereOf(a, mortal && by === "client");
    const servers = whereOf(b, mortal && by === "server");
    const listening = await servers.agent.listen("::", port);
    const client = await clients.agent.connect(b.address4, port);
    const server = await listening.accept();
    const standstill = async (): Promise<void> => {
      await this.mesh.standstill();
    };
    return by === "client"
      ? { actor: client, watcher: server, actors: clients, watchers: servers, standstill }
      : { actor: server, watcher: client, actors: servers, watchers: clients, standstill };
  }

  /** Plays a row, and leaves nothing of its connection. */
  async play(row: Row, by: Side): Promise<string> {
    const scene = await this.scene(by, row.mortal);
    try {
      return await row.play(scene);
    } finally {
      await scene.watcher.reset();
      if (row.mortal !== true) await scene.actor.reset();
    }
  }
}

function whereOf(pod: Pod, own: boolean): Where {
  return { pod, agent: own ? pod.anotherAgent() : pod.agent };
}

/** All that arrived until the peer's end, and the kind of end: "5 bytes, end", "0 bytes, ECONNRESET". */
export async function seen(socket: AgentSocket): Promise<string> {
  const { bytes, ending } = await socket.finish();
  return `${bytes} bytes, ${ending}`;
}

/** For rows in which the number of bytes before the end is random. */
export async function seenAtLast(socket: AgentSocket): Promise<string> {
  return `some bytes, ${(await socket.finish()).ending}`;
}

/** The result of an attempt to connect: "ECONNREFUSED at connect", or what follows an established connection. */
export async function attempted(pod: Pod, address: string): Promise<string> {
  const { stdout } = await pod.run(["bun", `${import.meta.dir}/attempt.ts`, address]);
  return stdout.trimEnd();
}

/** Runs a command that a row depends on: words without quotes. Throws if it fails. */
export async function must(pod: Pod, command: string, input = ""): Promise<void> {
  const { code, stderr } = await pod.run(command.split(" "), input);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
}

/** Waits until this many bytes are unread in the kernel for an application: ss(8), Recv-Q of its sockets. */
export async function unread({ pod, agent }: Where, bytes: number): Promise<void> {
  for (;;) {
    const { stdout } = await pod.run(["ss", "-Htnp"]);
    const own = stdout.split("\n").filter((line) => line.includes(`pid=${agent.pid},`));
    if (own.some((line) => Number(line.split(/\s+/)[1]) >= bytes)) return;
  }
}
