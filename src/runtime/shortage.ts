/** What the process or the machine lacks: the errors of errno(3) that are no fault of a file, a certificate or a peer. */

/** The remedy for the error of this name, undefined for any other error. */
export function shortageOf(code: string): string | undefined {
  return remedies.get(code);
}

const memory =
  "the kernel has no memory for it: raise the memory limit, or end programs that use much";
const remedies: ReadonlyMap<string, string> = new Map([
  [
    "EMFILE",
    "this process has no descriptor left: raise the limit (ulimit -n, LimitNOFILE= in systemd), or lower --connections",
  ],
  [
    "ENFILE",
    "this machine has no descriptor left: raise fs.file-max, or end programs that hold many",
  ],
  ["ENOMEM", memory],
  ["ENOBUFS", memory],
]);
