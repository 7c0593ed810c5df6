/** The applications' protocols, and the ports of pod b's. */

export const httpPort = 8080;
export const echoPort = 8081;
/** Accepts connections and reads nothing. */
export const deafPort = 8082;
/** iperf3's default. */
export const bulkPort = 5201;
export const applicationPorts = [httpPort, echoPort, deafPort, bulkPort] as const;

/** The TLS port of a proxy that applications connect to explicitly, beside the application's port. */
export function tlsPortOf(port: number): number {
  return port + 10_000;
}

export const request = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
/** The server ends the connection after its answer. */
export const lastRequest = "GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
export const keptAnswer = answer("keep-alive");
export const lastAnswer = answer("close");

function answer(connection: "keep-alive" | "close"): string {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: ${connection}`;
  return `${head}\r\n\r\nhello, client`;
}
