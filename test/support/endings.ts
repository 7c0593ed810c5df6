/** What happens at one end of a connection, and what the application at the other end sees of it. */
import type { Agent, AgentSocket } from "./application.ts";
import { Mesh } from "./mesh.ts";
import type { Pod } from "./pods.ts";

export type Side = "client" | "server";
export const sides: readonly Side[] = ["client", "server"];

/** How the two applications are joined. */
export type Way = "without a proxy" | "through both proxies";
export const ways: readonly Way[] = ["without a proxy", "through both proxies"];

/** What an application sees, in words: "5 bytes, end". The first of each pair is the reference. */
export type Sight = Readonly<Record<Way, string>>;

/** The same with proxies as without. */
export function alike(sight: string): Sight {
  return { "without a proxy": sight, "through both proxies": sight };
}

/** A connection between two applications: one of them acts, the other one watches. */
export type Scene = {
  readonly actor: AgentSocket;
  readonly watcher: AgentSocket;
  readonly actors: Where;
  readonly watchers: Where;
  /** Waits until nothing moves between the pods. */
  readonly standstill: () => Promise<void>;
};

export type Where = { readonly pod: Pod; readonly agent: Agent };

export type Row = {
  /** What the actor does or suffers: "the client …". */
  readonly event: string;
  /** The actor's process is killed: it has to be one of its own. */
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

/** All that came until the peer's end, and what that was: "5 bytes, end", "0 bytes, ECONNRESET". */
export async function seen(socket: AgentSocket): Promise<string> {
  const { bytes, ending } = await socket.finish();
  return `${bytes} bytes, ${ending}`;
}

/** Where it is chance how many bytes come before the end. */
export async function seenAtLast(socket: AgentSocket): Promise<string> {
  return `some bytes, ${(await socket.finish()).ending}`;
}

/** How an attempt to connect comes out: "ECONNREFUSED at connect", or what follows a connection that stands. */
export async function attempted(pod: Pod, address: string): Promise<string> {
  const { stdout } = await pod.run(["bun", `${import.meta.dir}/attempt.ts`, address]);
  return stdout.trimEnd();
}

/** Runs what a row stands on: words without quotes. Throws where it fails. */
export async function must(pod: Pod, command: string, input = ""): Promise<void> {
  const { code, stderr } = await pod.run(command.split(" "), input);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
}

/** Waits until so many bytes lie unread in the kernel for an application: ss(8), Recv-Q of its sockets. */
export async function unread({ pod, agent }: Where, bytes: number): Promise<void> {
  for (;;) {
    const { stdout } = await pod.run(["ss", "-Htnp"]);
    const own = stdout.split("\n").filter((line) => line.includes(`pid=${agent.pid},`));
    if (own.some((line) => Number(line.split(/\s+/)[1]) >= bytes)) return;
  }
}
