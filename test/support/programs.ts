/** Programs of other projects as peers: openssl, curl, HAProxy. */
import type { CredentialPaths } from "./credentials.ts";
import type { Pod, Running } from "./pods.ts";

export type Spoken = { readonly code: number; readonly output: string };

/** openssl s_client: sends `input`, half-closes, and returns all its output. Without paths: no certificate. */
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

/**
 * openssl s_server, requiring mutual TLS: with HTTP answers, or with "-rev", which reverses lines; and more options.
 */
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

/** curl's message for a reset: the second one if the reset arrives before curl has checked its connect. */
export const resetByCurl = /reset by peer|Couldn't connect to server/;

/** Waits until the port has a listener: HAProxy prints nothing when it is ready. */
export async function listening(pod: Pod, port: number): Promise<void> {
  for (;;) {
    const { stdout } = await pod.run(["ss", "-Hltn", `sport = :${port}`]);
    if (stdout !== "") return;
  }
}
