/** A small HTTP application in a pod. */
import type { Pod, Running } from "./pods.ts";

/** Answers every request with `body`, on all addresses. */
export async function serveHttp(pod: Pod, port: number, body: string): Promise<Running> {
  return await serveHttpOn(pod, [port], body);
}

/** The same on several ports, in one process. */
export async function serveHttpOn(
  pod: Pod,
  ports: readonly number[],
  body: string,
): Promise<Running> {
  const script =
    `for (const port of ${JSON.stringify(ports)}) Bun.serve({ port, hostname: "::", fetch: (request, server) => ` +
    `new Response(new URL(request.url).pathname === "/clientip" ? server.requestIP(request).address : ${JSON.stringify(body)}) });` +
    `console.log("serving");`;
  const running = pod.start(["bun", "-e", script]);
  await running.says(/serving/);
  return running;
}
