/** Load inside a pod: `serve`, or `KIND COUNT ADDRESS`; prints {"done":N,"failed":N}. */
const requestPort = 8080;
const request = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
const answer = `HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, client`;
const [kind = "", count = "0", address = ""] = process.argv.slice(2);

if (kind === "serve") serve();
else console.log(JSON.stringify(await run(kind, Number(count))));

async function run(what: string, amount: number): Promise<{ done: number; failed: number }> {
  switch (what) {
    case "connections":
      return await spread(amount, 32);
    case "sequential":
      return await spread(amount, 1);
    default:
      throw new Error(`no such load: ${what}`);
  }
}

/** Makes `times` new connections, `width` at once. */
async function spread(times: number, width: number): Promise<{ done: number; failed: number }> {
  let left = times;
  let failed = 0;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      if (!(await exchange())) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return { done: times, failed };
}

/** One connection and a request over it. */
async function exchange(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let bytes = 0;
  await Bun.connect({
    hostname: address,
    port: requestPort,
    socket: {
      open: (socket) => {
        socket.write(request);
      },
      data: (socket, chunk) => {
        bytes += chunk.length;
        if (bytes >= answer.length) socket.end();
      },
      close: () => {
        resolve(bytes === answer.length);
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
  console.log("serving");
}
