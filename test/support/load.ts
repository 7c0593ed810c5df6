/** Load for benchmarks, inside a pod: `serve`, or `KIND COUNT ADDRESS`; prints {"done":N,"failed":N}. */
import type { Socket } from "bun";

const requestPort = 8080;
const sourcePort = 8081;
const request = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
const answer = `HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, client`;
const [kind = "", count = "0", address = ""] = process.argv.slice(2);

if (kind === "serve") serve();
else console.log(JSON.stringify(await run(kind, Number(count))));

async function run(what: string, amount: number): Promise<{ done: number; failed: number }> {
  switch (what) {
    case "requests":
      return await spread(32, 32, async () => await exchange(amount / 32), amount / 32);
    case "connections":
      return await spread(amount, 32, async () => await exchange(1), 1);
    case "sequential":
      return await spread(amount, 1, async () => await exchange(1), 1);
    case "burst":
      return await spread(amount, amount, async () => await exchange(1), 1);
    case "idle":
      return await stand(amount);
    case "bulk":
      return { done: amount, failed: (await receive(amount)) ? 0 : 1 };
    default:
      throw new Error(`no such load: ${what}`);
  }
}

/** `times` jobs, `width` at once. */
async function spread(
  times: number,
  width: number,
  job: () => Promise<boolean>,
  each: number,
): Promise<{ done: number; failed: number }> {
  let left = times;
  let failed = 0;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      if (!(await job())) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return { done: times * each, failed };
}

/** One connection and so many requests over it, one after the other. */
async function exchange(requests: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let bytes = 0;
  const wanted = requests * answer.length;
  await Bun.connect({
    hostname: address,
    port: requestPort,
    socket: {
      open: (socket) => {
        socket.write(request);
      },
      data: (socket, chunk) => {
        bytes += chunk.length;
        if (bytes >= wanted) socket.end();
        else if (bytes % answer.length === 0) socket.write(request);
      },
      close: () => {
        resolve(bytes === wanted);
      },
      error: () => {
        resolve(false);
      },
      connectError: () => {
        resolve(false);
      },
    },
  }).catch(() => {
    resolve(false);
  });
  return await promise;
}

/** So many connections that have spoken once and are silent then, until stdin ends. */
async function stand(amount: number): Promise<{ done: number; failed: number }> {
  const sockets: Socket[] = [];
  const open = async (): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = {
      open: (opened: Socket) => {
        sockets.push(opened);
        opened.write(request);
      },
      data: () => {
        resolve(true);
      },
      error: () => {
        resolve(false);
      },
    };
    await Bun.connect({ hostname: address, port: requestPort, socket });
    return await promise;
  };
  const result = await spread(amount, 16, open, 1);
  console.error("standing");
  await Bun.stdin.text();
  for (const socket of sockets) socket.end();
  return result;
}

async function receive(amount: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let bytes = 0;
  await Bun.connect({
    hostname: address,
    port: sourcePort,
    socket: {
      open: (socket) => {
        socket.write(`${amount}\n`);
      },
      data: (_, chunk) => {
        bytes += chunk.length;
      },
      close: () => {
        resolve(bytes === amount);
      },
    },
  });
  return await promise;
}

function serve(): void {
  Bun.listen({
    hostname: "::",
    port: requestPort,
    socket: {
      data: (socket) => {
        socket.write(answer);
      },
    },
  });
  Bun.listen<{ left: number }>({
    hostname: "::",
    port: sourcePort,
    socket: {
      data: (socket, chunk) => {
        socket.data = { left: Number(new TextDecoder().decode(chunk)) };
        pour(socket);
      },
      drain: pour,
    },
  });
  console.log("serving");
}

const block = new Uint8Array(262_144);

function pour(socket: Socket<{ left: number }>): void {
  while (socket.data.left > 0) {
    const taken = socket.write(block.subarray(0, Math.min(block.length, socket.data.left)));
    if (taken <= 0) return;
    socket.data.left -= taken;
    if (socket.data.left === 0) socket.end();
  }
}
