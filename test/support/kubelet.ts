/**
 * Probes like the kubelet's (pkg/probe of Kubernetes 1.30): run as a program in a pod, `bun kubelet.ts JSON`, it
 * prints the result of one probe as a line of JSON.
 */
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";

import type { Pod } from "./pods.ts";

export type Question = { readonly port: number; readonly timeoutMs: number } & (
  | { readonly kind: "http"; readonly path: string }
  | { readonly kind: "tcp" }
  | { readonly kind: "grpc"; readonly service: string }
);

export type Ask = Question & { readonly host: string };

/** A warning counts as success: a redirect that was not followed. */
export type Result = {
  readonly result: "success" | "warning" | "failure";
  readonly output: string;
};

/** One probe from a pod, as `result: output`. */
export async function probe(from: Pod, question: Ask): Promise<string> {
  const { stdout, stderr } = await from.run(["bun", import.meta.path, JSON.stringify(question)]);
  if (stdout === "") throw new Error(`the kubelet said nothing: ${stderr}`);
  const { result, output } = JSON.parse(stdout) as Result;
  return `${result}: ${output}`;
}

async function ask(question: Ask): Promise<Result> {
  try {
    switch (question.kind) {
      case "http":
        return await askHttp(question, question.path, 0);
      case "tcp":
        return await askTcp(question);
      case "grpc":
        return await askGrpc(question, question.service);
    }
  } catch (error) {
    return { result: "failure", output: error instanceof Error ? codeOf(error) : String(error) };
  }
}

/** pkg/probe/http: 200 to 399 is success; redirects are followed to the same host, at most ten. */
async function askHttp(where: Ask, path: string, redirects: number): Promise<Result> {
  const { status, location, body } = await get(where, path);
  if (status < 200 || status >= 400) return { result: "failure", output: `status ${status}` };
  if (status < 300 || location === "") return { result: "success", output: body };
  const next = new URL(location, `http://${bracketed(where.host)}:${where.port}${path}`);
  if (next.hostname !== bracketed(where.host))
    return { result: "warning", output: "redirect to another host" };
  if (redirects === 10) return { result: "failure", output: "stopped after 10 redirects" };
  const { port } = next.port === "" ? { port: 80 } : { port: Number(next.port) };
  return await askHttp({ ...where, port }, next.pathname + next.search, redirects + 1);
}

type Answer = { readonly status: number; readonly location: string; readonly body: string };

/** The request of Go's client, without keep-alive. */
async function get(where: Ask, path: string): Promise<Answer> {
  const socket = await opened(where);
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${bracketed(where.host)}:${where.port}\r\n` +
      "User-Agent: kube-probe/1.30\r\nAccept: */*\r\nConnection: close\r\n\r\n",
  );
  let text = "";
  for await (const chunk of socket) text += (chunk as Buffer).toString("latin1");
  const [head = "", ...rest] = text.split("\r\n\r\n");
  if (!head.startsWith("HTTP/1.1 ")) throw new Error("EOF");
  const location = /^location: *(.*)$/im.exec(head)?.[1] ?? "";
  const body = rest.join("\r\n\r\n").trim();
  const plain = /^transfer-encoding: *chunked/im.test(head) ? unchunked(body) : body;
  return { status: Number(head.slice(9, 12)), location, body: plain };
}

function unchunked(body: string): string {
  return body.replaceAll(/^[0-9a-f]+\r\n|\r\n[0-9a-f]+(?:\r\n)?$/gim, "").trim();
}

/** pkg/probe/tcp: an accepted connection is a success. */
async function askTcp(where: Ask): Promise<Result> {
  const socket = await opened(where);
  socket.end();
  await new Promise<void>((resolve) => socket.once("close", resolve));
  return { result: "success", output: "" };
}

/** pkg/probe/grpc: one unary call of grpc.health.v1.Health/Check. */
async function askGrpc(where: Ask, service: string): Promise<Result> {
  const session = connectHttp2(`http://${bracketed(where.host)}:${where.port}`);
  const failed = new Promise<never>((_, reject) => {
    session.once("error", reject);
    session.once("close", () => {
      reject(new Error("closed"));
    });
    setTimeout(reject, where.timeoutMs, new Error("timeout")).unref();
  });
  failed.catch(() => undefined);
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    "user-agent": "kube-probe/1.30 grpc-go/1.58.3",
    te: "trailers",
  });
  stream.end(healthRequest(service));
  const answered = new Promise<Result>((resolve, reject) => {
    let status = "";
    const body: Buffer[] = [];
    stream.on("trailers", (trailers) => (status = String(trailers["grpc-status"])));
    stream.on("response", (headers) => (status = String(headers["grpc-status"] ?? "")));
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      const serving = status === "0" && Buffer.concat(body).toString("hex") === "00000000020801";
      resolve(
        serving
          ? { result: "success", output: "SERVING" }
          : { result: "failure", output: `grpc-status ${status}` },
      );
    });
  });
  try {
    return await Promise.race([answered, failed]);
  } finally {
    session.destroy();
  }
}

/** HealthCheckRequest, in a message of gRPC: not compressed, its length, `service` as field 1. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.of(0x0a, name.length), name]);
  return Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]);
}

/** Opens a connection; whatever is not finished after the time-out fails. */
async function opened({ host, port, timeoutMs }: Ask): Promise<Socket> {
  const socket = connect({ host, port });
  setTimeout(() => socket.destroy(new Error("timeout")), timeoutMs).unref();
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

if (import.meta.main) {
  console.log(JSON.stringify(await ask(JSON.parse(process.argv[2] ?? "") as Ask)));
}
