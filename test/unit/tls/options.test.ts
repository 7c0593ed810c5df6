/**
 * The TLS versions and ciphers with `--tls-min 1.2`, in both directions: only with forward secrecy and AEAD, without
 * SHA-1.
 */
import { afterAll, describe, expect, test } from "bun:test";

import { dialingOptions, terminatingOptions } from "../../../src/tls/options.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { loadCredentials, type Credentials } from "../../../src/identity/source.ts";
import { writeCredentials } from "../../support/credentials.ts";

const authority = issueAuthority("root");

describe.each([
  ["RSA", true],
  ["EC", false],
] as const)("with a key of %s", (_name, rsa) => {
  const leaf = issueLeaf(authority, { spiffeId: "spiffe://a/b", rsa });
  const { certificate, key, authority: trustBundle } = writeCredentials(leaf, authority);
  const credentials = loadCredentials({ certificate, key, trustBundle }, Date.now());
  const own = ["-cert", certificate, "-key", key];
  const auth = rsa ? "RSA" : "ECDSA";

  describe("as a server", () => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: terminatingOptions(credentials, "1.2", 1),
      socket: {
        data: () => undefined,
        handshake: (socket, success, error) => {
          socket.end(success && error === null ? "welcome" : "");
        },
        error: () => undefined,
      },
    });
    afterAll(() => {
      listener.stop(true);
    });

    async function asked(...options: readonly string[]): Promise<string> {
      const to = ["-connect", `127.0.0.1:${listener.port}`, "-CAfile", trustBundle, ...own];
      const child = Bun.spawn(["openssl", "s_client", "-ign_eof", ...to, ...options], {
        stdin: "ignore",
        stderr: "pipe",
      });
      const [out, words] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      const [, cipher = ""] = /Cipher is (\S+)/.exec(out) ?? [];
      return cipher === "(NONE)" || !out.includes("welcome")
        ? `refused ${words.length > 0}`
        : cipher;
    }

    test.each([
      "-tls1_3",
      `-tls1_2 -cipher ECDHE-${auth}-AES128-GCM-SHA256`,
      `-tls1_2 -cipher ECDHE-${auth}-AES256-GCM-SHA384`,
      `-tls1_2 -cipher ECDHE-${auth}-CHACHA20-POLY1305`,
      `-tls1_2 -sigalgs ${rsa ? "RSA+SHA256:RSA-PSS+SHA256" : "ECDSA+SHA256"}`,
    ])("it accepts a client of %s", async (options) => {
      expect(await asked(...options.split(" "))).toMatch(/GCM|CHACHA20/);
    });

    test.each([
      `-tls1_2 -cipher ECDHE-${auth}-AES128-SHA:@SECLEVEL=0`,
      `-tls1_2 -cipher ECDHE-${auth}-AES128-SHA256:@SECLEVEL=0`,
      `-tls1_2 -cipher AES128-GCM-SHA256:@SECLEVEL=0`,
      `-tls1_2 -cipher AES256-SHA:@SECLEVEL=0`,
      `-tls1_1 -cipher ALL:@SECLEVEL=0`,
      `-tls1_2 -cipher ALL:@SECLEVEL=0 -sigalgs ${rsa ? "RSA+SHA1" : "ECDSA+SHA1"}`,
    ])("it refuses a client of %s", async (options) => {
      expect(await asked(...options.split(" "))).toStartWith("refused");
    });
  });

  describe("as a client", () => {
    /** The result of our handshake with an openssl server. */
    // oxlint-disable-next-line unicorn/consistent-function-scoping -- false: it captures the credentials of this key
    async function reached(...options: readonly string[]): Promise<string> {
      const flags = ["-accept", "127.0.0.1:0", "-Verify", "1", "-CAfile", trustBundle, ...own];
      const child = Bun.spawn(["openssl", "s_server", ...flags, ...options], {
        stdin: "pipe",
        stderr: "pipe",
      });
      try {
        return await dialed(await portOf(child.stdout), credentials);
      } finally {
        child.kill();
        await child.exited;
      }
    }

    test.each([
      "-tls1_3",
      `-tls1_2 -cipher ECDHE-${auth}-AES128-GCM-SHA256`,
      `-tls1_2 -cipher ECDHE-${auth}-CHACHA20-POLY1305`,
    ])("it accepts a server of %s", async (options) => {
      expect(await reached(...options.split(" "))).toMatch(/^spoke.*(GCM|CHACHA20)/);
    });

    test.each([
      `-tls1_2 -cipher ECDHE-${auth}-AES128-SHA:@SECLEVEL=0`,
      `-tls1_2 -cipher AES128-GCM-SHA256:@SECLEVEL=0`,
      `-tls1_2 -cipher AES256-SHA:@SECLEVEL=0`,
      `-tls1_2 -cipher ALL:@SECLEVEL=0 -sigalgs ${rsa ? "RSA+SHA1" : "ECDSA+SHA1"}`,
    ])("it refuses a server of %s", async (options) => {
      expect(await reached(...options.split(" "))).toStartWith("refused");
    });
  });
});

async function portOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  let said = "";
  for await (const chunk of stream) {
    said += new TextDecoder().decode(chunk);
    const [, port] = /ACCEPT \S+:(\d+)/.exec(said) ?? [];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`openssl says no port: ${said}`);
}

async function dialed(port: number, credentials: Credentials): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    tls: dialingOptions(credentials, "1.2", false),
    socket: {
      data: () => undefined,
      handshake: (of, _success, error) => {
        const code = error === null ? "" : String((error as { code?: unknown }).code);
        const isMade = code === "" || code === "ERR_TLS_CERT_ALTNAME_INVALID";
        resolve(isMade ? `spoke ${JSON.stringify(of.getCipher())}` : `refused ${code}`);
      },
      close: () => {
        resolve("refused: closed");
      },
      error: () => undefined,
    },
  });
  const said = await promise;
  socket.terminate();
  return said;
}
