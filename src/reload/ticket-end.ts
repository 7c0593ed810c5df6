/** Ends the session tickets that we have given to clients every hour, whatever the TLS library allows. */
import { Ticker } from "../runtime/deadline.ts";
import { ProxyError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log/log.ts";
import { eraMsMax } from "../tls/tickets.ts";

/**
 * The library verifies a chain only in full handshakes: without this, a CA certificate that has expired would remain
 * valid for as long as its clients return. `end` throws ProxyError if there is no room for new contexts. Returns a
 * function that stops this.
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
