/** Asks a proxy for /readyz, as a health check does. */
import { Deadline } from "../runtime/deadline.ts";
import { formatIp, type SocketAddress } from "../net/address.ts";

export type Readyz = { readonly ready: boolean; readonly text: string };

/** Null if no proxy answers within `msMax`. An all-zero address is asked on loopback. */
export async function askReadiness(address: SocketAddress, msMax: number): Promise<Readyz | null> {
  const answer = await get(hostOf(address), address.port, msMax);
  const [head = "", ...body] = answer.split("\r\n\r\n");
  const status = /^HTTP\/1\.[01] (\d{3}) /.exec(head)?.[1];
  if (status === undefined) return null;
  return { ready: status === "200", text: body.join("\r\n\r\n").trimEnd() };
}

function hostOf({ bytes }: SocketAddress): string {
  return bytes.every((byte) => byte === 0) ? "127.0.0.1" : formatIp(bytes);
}

/** Everything received until the other end closes, "" for nothing. fetch() would use a proxy from the environment. */
async function get(hostname: string, port: number, msMax: number): Promise<string> {
  let answer = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const over = (): void => {
    resolve();
  };
  const deadline = new Deadline(msMax, over);
  const connecting = Bun.connect({
    hostname,
    port,
    socket: {
      open: (socket) => {
        socket.write("GET /readyz HTTP/1.1\r\nHost: tls-tproxy\r\nConnection: close\r\n\r\n");
      },
      data: (_, chunk) => {
        if (answer.length < answerCharactersMax) answer += chunk.toString("latin1");
      },
      end: over,
      close: over,
      error: over,
      connectError: over,
    },
  }).catch(() => null);
  await promise;
  deadline.clear();
  void connecting.then((socket) => socket?.terminate());
  return answer;
}

const answerCharactersMax = 65_536;
