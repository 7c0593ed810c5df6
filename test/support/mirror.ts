/**
 * An application that sends each client the address it sees it by, and a client for it: `mirror.ts serve HOST PORT`
 * (or `hang-up`, which ends each connection itself), `mirror.ts ask HOST PORT [COUNT] [OWN PORT]` (or `hear-out`,
 * which waits for the server's end, or `stay`). `ask` keeps its connections until its input ends, `stay` until it is
 * killed.
 */
import { connect, createServer, type Socket } from "node:net";

/** One connection, as seen from both ends: "10.77.0.1:40000". */
export type Sight = {
  /** The client's getsockname(2). */
  readonly own: string;
  /** The server's getpeername(2). */
  readonly seen: string;
  /** The server's getsockname(2). */
  readonly at: string;
  /** The error code, or "". */
  readonly error: string;
};

/** Number of connections that are started together. */
const atOnce = 250;
const [role, host = "::", port = "0", count = "1", ownPort] = process.argv.slice(2);
if (role === "serve" || role === "hang-up") serve(role === "hang-up");
if (role === "ask" || role === "hear-out" || role === "stay") await ask();

function serve(hangsUp: boolean): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    socket.write(`${textOf(remoteAddress, remotePort)} ${textOf(localAddress, localPort)}\n`);
    if (hangsUp) socket.end();
    else socket.on("end", () => socket.end());
  });
  server.listen({ host, port: Number(port), backlog: 4096 }, () => {
    console.log("serving");
  });
}

async function ask(): Promise<void> {
  const sights: Sight[] = [];
  while (sights.length < Number(count)) {
    const asking = Math.min(atOnce, Number(count) - sights.length);
    sights.push(...(await Promise.all(Array.from({ length: asking }, sightOf))));
  }
  console.log(JSON.stringify(sights));
  if (role === "stay") return;
  process.stdin.resume();
  process.stdin.on("end", () => {
    process.kill(process.pid, "SIGKILL");
  });
}

async function sightOf(): Promise<Sight> {
  const localPort = ownPort === undefined ? {} : { localPort: Number(ownPort) };
  const socket = connect({ host, port: Number(port), ...localPort });
  return await new Promise((resolve) => {
    let said = "";
    let own = "";
    socket.on("connect", () => {
      own = ownOf(socket);
    });
    const settle = (error: string): void => {
      const [seen = "", at = ""] = said.trim().split(" ");
      resolve({ own, seen, at, error });
    };
    socket.on("data", (chunk) => {
      said += chunk.toString();
      if (said.endsWith("\n") && role !== "hear-out") settle("");
    });
    socket.on("error", (error) => {
      settle("code" in error ? String(error.code) : error.message);
    });
    socket.on("close", () => {
      settle(role === "hear-out" ? "" : "closed");
    });
  });
}

function ownOf({ localAddress, localPort }: Socket): string {
  return textOf(localAddress, localPort);
}

/** An IPv4-mapped address on an IPv6 socket is written as IPv4. */
function textOf(address = "", of = 0): string {
  const plain = address.replace(/^::ffff:/, "");
  return plain.includes(":") ? `[${plain}]:${of}` : `${plain}:${of}`;
}
