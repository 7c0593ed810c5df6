/**
 * Runs in a pod: connects to ADDRESS:PORT, and prints the kernel's error. Bun's own connect reports only
 * ECONNREFUSED.
 */
import { errnoName, SystemCallError } from "../../src/native/errno.ts";
import * as native from "../../src/native/native.ts";
import { encodeSocketAddress, parseSocketAddress } from "../../src/net/address.ts";

let connected = false;
let bytes = 0;

function say(code: string): void {
  // A refused SYN gives ECONNREFUSED, so ECONNRESET means that the connection existed, even without Bun's open event.
  const stood = connected || code === "ECONNRESET" || code === "end";
  console.log(stood ? `connected; ${bytes} bytes, ${code}` : `${code} at connect`);
  process.exitCode = 0;
}

/** Starts a connect(2), or returns the kernel's immediate error. */
function begin(text: string): number | string {
  const address = parseSocketAddress(text);
  const fd = native.openStream(
    address.family === 4 ? native.addressFamily.inet : native.addressFamily.inet6,
  );
  try {
    native.beginConnect(fd, encodeSocketAddress(address));
    return fd;
  } catch (error) {
    if (error instanceof SystemCallError) return errnoName(error.errno);
    throw error;
  }
}

const begun = begin(process.argv[2] ?? "");
if (typeof begun === "string") say(begun);
else
  await Bun.connect({
    fd: begun,
    allowHalfOpen: true,
    socket: {
      drain: () => {
        connected = true;
      },
      data: (_, chunk) => {
        bytes += chunk.length;
      },
      end: (socket) => {
        say("end");
        socket.end();
      },
      close: (_, error) => {
        const { code } = (error ?? {}) as { readonly code?: string };
        if (code !== undefined) say(code);
      },
      error: () => undefined,
    },
  });
