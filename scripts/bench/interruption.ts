/** Work that SIGINT and SIGTERM end, which leaves nothing behind. */

/**
 * Network namespaces outlive who made them: work that is told to stop takes its own away, and its promise is awaited
 * for that. Then the process ends as it was told, by the signal.
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

/** After all else that waits for the end, as temporary directories do. */
function endBy(signal: NodeJS.Signals): void {
  process.once("exit", () => process.kill(process.pid, signal));
}

const signals = ["SIGINT", "SIGTERM"] as const;
