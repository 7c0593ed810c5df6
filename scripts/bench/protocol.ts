/** What the applications speak, and where pod b's listen. */

export const httpPort = 8080;
export const echoPort = 8081;
/** Takes connections and reads nothing. */
export const deafPort = 8082;
/** iperf3's own. */
export const bulkPort = 5201;
export const applicationPorts = [httpPort, echoPort, deafPort, bulkPort] as const;

/** Where a proxy that applications address by themselves takes TLS, beside the application's port. */
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
