/** The session tickets that we have given to clients end every hour, whatever the TLS library allows. */
import { Ticker } from "../runtime/deadline.ts";
import { ProxyError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log/log.ts";
import { eraMsMax } from "../tls/tickets.ts";

/**
 * The library looks at a chain in full handshakes only: without this, an authority's certificate that has expired meanwhile
 * would be good as long as its clients come back. `end` throws ProxyError where there is no place for new contexts.
 * Returns what ends the watch.
 */
export function endTicketsRegularly(
  end: () => void,
  log: Pick<Log, "write">,
  everyMs = eraMsMax,
): () => void {
  const ticker = new Ticker(everyMs, () => {
    try {
      end();
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      log.write("W", "credentials", `session tickets are good for longer: ${error.message}`);
    }
  });
  return () => {
    ticker.stop();
  };
}
