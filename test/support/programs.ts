/** Programs that this project did not write, at the other end: openssl, curl, HAProxy. */
import type { CredentialPaths } from "./credentials.ts";
import type { Pod, Running } from "./pods.ts";

export type Spoken = { readonly code: number; readonly output: string };

/** openssl s_client: says `input`, half-closes, and returns all that it wrote. Without paths: no certificate. */
export async function opensslClient(
  pod: Pod,
  address: string,
  paths: CredentialPaths | null,
  input: string,
): Promise<Spoken> {
  const own = paths === null ? [] : ["-cert", paths.certificate, "-key", paths.key];
  const command = ["openssl", "s_client", "-connect", address, ...own, "-ign_eof"];
  const { code, stdout, stderr } = await pod.run(["timeout", "10", ...command], input);
  return { code, output: stdout + stderr };
}

/** openssl s_server, mutual TLS demanded: with HTTP answers, or "-rev", which says lines backwards; and more options. */
export async function opensslServer(
  pod: Pod,
  port: number,
  paths: CredentialPaths,
  ...options: readonly string[]
): Promise<Running> {
  const own = ["-cert", paths.certificate, "-key", paths.key, "-CAfile", paths.authority];
  const verify = ["-Verify", "3", "-verify_return_error"];
  const does = options.includes("-rev") ? [] : ["-www"];
  const command = ["openssl", "s_server", "-accept", String(port), ...does, ...options];
  const running = pod.start([...command, ...own, ...verify]);
  await running.says(/ACCEPT/);
  return running;
}

/** curl with more options; the body is the output. */
export async function curl(pod: Pod, ...options: readonly string[]): Promise<Spoken> {
  const command = ["curl", "--silent", "--show-error", "--max-time", "10", ...options];
  const { code, stdout, stderr } = await pod.run(command);
  return { code, output: stdout + stderr };
}

/** What curl says of a reset: the second where it comes before curl has looked whether it is connected. */
export const resetByCurl = /reset by peer|Couldn't connect to server/;

/** Waits until something listens on a port: HAProxy says nothing when it is ready. */
export async function listening(pod: Pod, port: number): Promise<void> {
  for (;;) {
    const { stdout } = await pod.run(["ss", "-Hltn", `sport = :${port}`]);
    if (stdout !== "") return;
  }
}
