/**
 * Applications for kubelet probes. As a program, `bun probed.ts http|tcp|grpc PORT`, it runs one of them and prints a
 * line for everything that reaches it.
 */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2, type Http2Stream, type ServerHttp2Stream } from "node:http2";
import { createServer as createTcp } from "node:net";

import type { Pod, Running } from "./pods.ts";

/** Starts one in a pod; its lines are in `output`. */
export async function serveProbed(
  pod: Pod,
  kind: "http" | "tcp" | "grpc",
  port: number,
): Promise<Running> {
  const running = pod.start(["bun", import.meta.path, kind, String(port)]);
  await running.says(/serving/);
  return running;
}

function http(port: number): void {
  createHttp(answer).listen(port, "::", serving);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { method = "", url = "" } = request;
  console.log(`request ${method} ${url}`);
  const path = url.replace(/\?.*/, "");
  if (path === "/hang") return;
  if (path === "/slow") {
    setTimeout(() => response.writeHead(200).end("ok at last"), 500);
    return;
  }
  const to = redirects.get(path);
  if (to !== undefined) response.writeHead(302, { location: to }).end();
  else if (path === "/broken") response.writeHead(500).end("broken");
  else response.writeHead(200).end(`ok ${url}`);
}

const redirects = new Map([
  ["/moved", "/healthz"],
  ["/astray", "/secret"],
  ["/away", "http://192.0.2.1/healthz"],
  ["/circle", "/circle"],
]);

function tcp(port: number): void {
  createTcp((socket) => {
    console.log("accepted");
    socket.on("data", (chunk) => {
      console.log(`data ${JSON.stringify(chunk.toString("latin1"))}`);
    });
    socket.on("error", () => undefined);
    socket.on("end", () => socket.end());
  }).listen(port, "::", serving);
}

/** grpc.health.v1 for the server as a whole and for `shop`; `hung` never answers, and other services are unknown. */
function grpc(port: number): void {
  const server = createHttp2();
  server.on("stream", (stream, headers) => {
    const body: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    stream.on("error", () => undefined);
    stream.on("end", () => {
      const service = Buffer.concat(body).subarray(7).toString();
      console.log(`call ${headers[":path"] ?? ""} ${JSON.stringify(service)}`);
      if (service !== "hung") check(stream, service === "" || service === "shop");
    });
  });
  server.listen(port, "::", serving);
}

function check(stream: Http2Stream, known: boolean): void {
  // The types do not describe a server's stream.
  (stream as ServerHttp2Stream).respond(
    { ":status": 200, "content-type": "application/grpc" },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => {
    stream.sendTrailers({ "grpc-status": known ? "0" : "5" });
  });
  stream.end(known ? Buffer.from("00000000020801", "hex") : Buffer.alloc(0));
}

function serving(): void {
  console.log("serving");
}

if (import.meta.main) {
  const [, , kind = "", port = ""] = process.argv;
  const start = { http, tcp, grpc }[kind];
  if (start === undefined) throw new Error(`no ${kind}`);
  start(Number(port));
}
