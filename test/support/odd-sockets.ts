/** Applications in pods whose sockets have unusual options: odd-socket.ts. */
import type { Pod, Running } from "./pods.ts";

/** socket(7), ip(7), ipv6(7) as numbers: "level:name", then the value. */
export const inline = "1:10:1";
/** For a server: the answer's last byte is urgent. */
export const urgent = "urgent";
export const boundTo = (device: string): string => `1:25=${device}`;
export const marked = (mark: number): string => `1:36:${mark}`;
/** Sends with the maximum TTL and accepts only such packets: RFC 5082. */
export const neighbours = { 4: "0:2:255,0:21:255", 6: "41:16:255,41:73:255" } as const;
export const fromPort = (port: number): string => `port=${port}`;

/** Several sockets may have one port. */
export const shared = "1:15:1";

export type Place = { readonly host: string; readonly port: number };

/** Starts a server that answers with all that it received, as hex. */
export async function serveOdd(
  pod: Pod,
  { host, port }: Place,
  ...options: readonly string[]
): Promise<Running> {
  const running = pod.start(["bun", script, "serve", host, String(port), options.join(",")]);
  await running.says(/serving/);
  return running;
}

/** What the server received, as hex, or "refused", or "silent". `says`: hex, an urgent part with "!" before it. */
export async function askOdd(
  pod: Pod,
  { host, port }: Place,
  says: string,
  ...options: readonly string[]
): Promise<string> {
  const command = ["bun", script, "ask", host, String(port), options.join(","), says];
  const { stdout, stderr } = await pod.run(command);
  return stdout.trim() + stderr.trim();
}

/** Connects, and answers with all that it receives. */
export function echoOdd(pod: Pod, { host, port }: Place, ...options: readonly string[]): Running {
  return pod.start(["bun", script, "echo", host, String(port), options.join(",")]);
}

const script = `${import.meta.dir}/odd-socket.ts`;
