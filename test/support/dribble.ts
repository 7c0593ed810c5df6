/** Runs in a pod: forwards connections to ADDRESS PORT, each of the first COUNT bytes in a segment of its own. */
import type { Socket } from "bun";

type Side = { other: Socket<Side> | null; waiting: number[]; sent: number };

const [address = "", port = "", count = ""] = process.argv.slice(2);
const limit = Number(count);

const listener = Bun.listen<Side>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (client) => {
      client.data = { other: null, waiting: [], sent: 0 };
      client.pause();
      void connect(client);
    },
    data: (client, chunk) => {
      client.data.waiting.push(...chunk);
      send(client);
    },
    close: (client) => {
      client.data.other?.end();
    },
  },
});
console.log(`port ${listener.port}`);

async function connect(client: Socket<Side>): Promise<void> {
  client.data.other = await Bun.connect<Side>({
    hostname: address,
    port: Number(port),
    data: { other: client, waiting: [], sent: 0 },
    socket: {
      data: (server, chunk) => {
        server.data.other?.write(chunk);
      },
      close: (server) => {
        server.data.other?.end();
      },
    },
  });
  client.resume();
}

/** TCP_NODELAY is on, so a write is a segment; the next one follows in the next turn of the event loop. */
function send(client: Socket<Side>): void {
  const { other, waiting } = client.data;
  if (other === null || waiting.length === 0) return;
  const one = client.data.sent < limit;
  const bytes = waiting.splice(0, one ? 1 : waiting.length);
  client.data.sent += other.write(Uint8Array.from(bytes));
  if (waiting.length > 0)
    setTimeout(() => {
      send(client);
    }, 1);
}
