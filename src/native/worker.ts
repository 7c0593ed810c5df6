/** Uses the shim from another thread: shows whether FFI works in a Worker. */
import { shimFile } from "./native.ts";

/** The shim's ABI version as read by a Worker. Rejects with the Worker's error. */
export async function abiVersionInWorker(): Promise<number> {
  const url = URL.createObjectURL(new Blob([source], { type: "application/javascript" }));
  const worker = new Worker(url);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  worker.addEventListener("message", ({ data }: MessageEvent<number>) => {
    resolve(data);
  });
  worker.addEventListener("error", ({ message }) => {
    reject(new Error(message));
  });
  using file = shimFile();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker has no origin
  worker.postMessage(file.path);
  try {
    return await promise;
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}

/** A separate file would have to be installed beside the executable. */
const source = `
  const { dlopen } = require("bun:ffi");
  self.onmessage = ({ data }) => {
    const { symbols } = dlopen(data, { tproxy_abi_version: { args: [], returns: "i32" } });
    postMessage(symbols.tproxy_abi_version());
  };
`;
