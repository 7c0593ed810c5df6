/** The signals that end the proxy. */

/** Resolves at the first SIGTERM or SIGINT. As PID 1 a process without a handler would ignore them. */
export async function ended(): Promise<NodeJS.Signals> {
  return await new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, resolve);
  });
}
