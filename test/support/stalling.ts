/**
 * An application that never reads, or never stops writing: `bun stalling.ts ignore|pour PORT`. Prints "listening".
 */
import type { Socket } from "bun";

const [kind = "", port = "0"] = process.argv.slice(2);
const plenty = new Uint8Array(65_536);

function pour(socket: Socket): void {
  if (kind === "pour") while (socket.write(plenty) === plenty.length);
}

Bun.listen({
  hostname: "::",
  port: Number(port),
  socket: {
    open: (socket) => {
      if (kind === "ignore") socket.pause();
      pour(socket);
    },
    drain: pour,
    data: () => undefined,
    error: () => undefined,
  },
});
console.log("listening");
