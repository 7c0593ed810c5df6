/** Work that SIGINT and SIGTERM end, with a clean-up. */

/**
 * Network namespaces outlive their creator, so interrupted work must remove its own: its promise is awaited for that.
 * Then the process ends by the same signal.
 */
export async function interruptible(work: (stop: AbortSignal) => Promise<number>): Promise<number> {
  const stopping = new AbortController();
  let heard: NodeJS.Signals | null = null;
  const stop = (signal: NodeJS.Signals): void => {
    heard = signal;
    console.error(`bench: ${signal}: stopping`);
    stopping.abort(new Error(`stopped by ${signal}`));
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return await work(stopping.signal);
  } catch (error) {
    if (heard === null) throw error;
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    endBy(heard);
    return 1;
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}

/** After all other exit handlers, such as those of temporary directories. */
function endBy(signal: NodeJS.Signals): void {
  process.once("exit", () => process.kill(process.pid, signal));
}

const signals = ["SIGINT", "SIGTERM"] as const;
