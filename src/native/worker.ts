/** The shim as another thread sees it: does FFI work in a Worker, too? */
import { shimFile } from "./native.ts";

/** The ABI version that the shim tells a Worker. Rejects with what went wrong there. */
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

/** A file of its own would have to lie beside the executable. */
const source = `
  const { dlopen } = require("bun:ffi");
  self.onmessage = ({ data }) => {
    const { symbols } = dlopen(data, { tproxy_abi_version: { args: [], returns: "i32" } });
    postMessage(symbols.tproxy_abi_version());
  };
`;
