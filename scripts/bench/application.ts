/**
 * The application of pod b: HTTP with answers of 13 bytes, an echo, and a reader that never reads. Prints "serving"
 * when it listens.
 */
import { deafPort, echoPort, httpPort, keptAnswer, lastAnswer } from "./protocol.ts";

const latin1 = new TextDecoder("latin1");

/** Closes on request, as wrk and s_time expect. */
Bun.listen({
  hostname: "::",
  port: httpPort,
  socket: {
    data: (socket, chunk) => {
      if (/Connection: close| HTTP\/1\.0/.test(latin1.decode(chunk))) socket.end(lastAnswer);
      else socket.write(keptAnswer);
    },
  },
});

Bun.listen({
  hostname: "::",
  port: echoPort,
  socket: {
    data: (socket, chunk) => {
      socket.write(chunk);
    },
  },
});

Bun.listen({
  hostname: "::",
  port: deafPort,
  socket: {
    open: (socket) => {
      socket.pause();
    },
    data: () => undefined,
  },
});

console.log("serving");
