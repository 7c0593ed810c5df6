/** Whether a proxy serves the diverted connections of this network namespace: proc(5), net/tcp. */
import { readFileSync } from "node:fs";

/** True if somebody listens on 127.0.0.1 at this port. */
export function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return readFileSync("/proc/self/net/tcp", "latin1").includes(
    ` 0100007F:${hex} 00000000:0000 0A `,
  );
}
