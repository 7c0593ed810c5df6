/** --probe-mode inspect: only declared probes pass from the node's own addresses. */
import { beforeAll, describe, expect, test } from "bun:test";

import {
  check,
  checkFields,
  data,
  frame,
  headers,
  preface,
  settings,
  settingsAck,
} from "../support/http2.ts";
import { deadlineMs } from "../support/deadline.ts";
import { probe, type Question } from "../support/kubelet.ts";
import { Mesh } from "../support/mesh.ts";
import type { Running } from "../support/pods.ts";
import { serveProbed } from "../support/probed.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";

const mesh = Mesh.create();
const { a, b, c } = mesh;
const node = mesh.extraPod();
const sources = `${node.address4},${node.address6}`;
const paths = ["healthz", "hang", "slow", "broken", "moved", "astray", "away"];
const probes = [
  ...paths.map((path) => `http:8080/${path}`),
  "http:8081/healthz,tcp:5432,tcp:5433,tcp:5434,tcp:5435",
  "grpc:9000,grpc:9000/shop,grpc:9000/hung,tcp:9000,grpc:9001",
  // Two kinds, with an application and without.
  "http:8082/healthz,tcp:8082,http:8083/healthz,tcp:8083,http:8084/healthz,grpc:8084",
].join(",");
const options = ["--probe", probes, "--probe-source", sources, "--probe-mode", "inspect"];
const limits = ["--first-bytes-timeout", "300ms", "--handshake-timeout", "1500ms"];
let web: Running;
let database: Running;
let health: Running;

beforeAll(async () => {
  mesh.proxies.push(await mesh.proxy(a), await mesh.proxy(b, [...options, ...limits]));
  web = await serveProbed(b, "http", 8080);
  database = await serveProbed(b, "tcp", 5432);
  health = await serveProbed(b, "grpc", 9000);
  for (const port of [8082, 8084]) await serveProbed(b, "http", port);
  const deaf = `${import.meta.dir}/../support/full-queue.ts`;
  for (const port of ["5434", "5435"]) await b.start(["bun", deaf, port]).says(/serving/);
});

const http = { kind: "http", port: 8080, timeoutMs: deadlineMs(4000) } as const;

function counted(kind: string, outcome: string, reason: string): string {
  return `tproxy_probes_total{kind="${kind}",outcome="${outcome}",reason="${reason}"}`;
}

/** Switches TCP timestamps on or off: with them every header has options, without them it has five words. */
async function setOptions(on: string): Promise<void> {
  const names = ["timestamps", "sack"].map((name) => `net.ipv4.tcp_${name}=${on}`);
  await node.run(["sysctl", "-w", ...names]);
}

/** Runs `act`, and waits until the sample has grown by one. */
async function oneMore(sample: string, act: () => Promise<void>): Promise<void> {
  const before = (await metrics(b)).get(sample) ?? Number.NaN;
  await act();
  await metricOnce(b, sample, (count) => count === before + 1);
}

describe.each(["address4", "address6"] as const)("over %s", (family) => {
  const host = b[family];
  const asked = async (question: Question, from = node): Promise<string> =>
    await probe(from, { ...question, host });

  /** Sends something from the node's address, and returns the result. */
  async function said(what: string | Uint8Array, port = 8080): Promise<string> {
    const client = await node.agent.connect(host, port);
    await client.sayBytes(Buffer.from(what));
    const { text: answer, ending } = await client.finish();
    return `${answer.split("\r\n")[0] ?? ""} ${ending}`.trim();
  }

  describe("an HTTP probe", () => {
    test("that is declared is answered by the application, query and all", async () => {
      await oneMore(counted("http", "passed", "declared"), async () => {
        const answer = await asked({ ...http, path: "/healthz?full=1" });
        expect(answer).toBe("success: ok /healthz?full=1");
      });
      await mesh.proxies[1]?.says(/Closed connection from \S+ to \S+:8080\]?: peer=probe \(http\)/);
    });

    test("fails if the application fails", async () => {
      expect(await asked({ ...http, path: "/broken" })).toBe("failure: status 500");
    });

    test("times out if the application hangs", async () => {
      const hung = { ...http, path: "/hang", timeoutMs: 500 };
      expect(await asked(hung)).toBe("failure: timeout");
    });

    test("of a slow application succeeds or times out according to the kubelet's own limit", async () => {
      expect(await asked({ ...http, path: "/slow" })).toBe("success: ok at last");
      expect(await asked({ ...http, path: "/slow", timeoutMs: 200 })).toBe("failure: timeout");
    });

    test("fails if the application is dead, and is counted as unreached", async () => {
      await oneMore(counted("http", "refused", "unreached"), async () => {
        expect(await asked({ ...http, port: 8081, path: "/healthz" })).toStartWith("failure: E");
      });
    });

    test("follows a redirect to a declared path on the same host", async () => {
      expect(await asked({ ...http, path: "/moved" })).toBe("success: ok /healthz");
      expect(await asked({ ...http, path: "/away" })).toBe("warning: redirect to another host");
    });

    test("follows no redirect to another path, and the log says what to declare", async () => {
      await oneMore(counted("http", "refused", "path"), async () => {
        expect(await asked({ ...http, path: "/astray" })).toStartWith("failure: E");
      });
      await mesh.proxies[1]?.says(
        /Refused connection .*the path "\/secret" is not declared: --probe .*redirected/,
      );
      expect(web.output).not.toContain("/secret");
    });
  });

  describe("a TCP probe", () => {
    const tcp = { kind: "tcp", timeoutMs: deadlineMs(4000) } as const;

    test("succeeds where the application accepts", async () => {
      expect(await asked({ ...tcp, port: 5432 })).toBe("success: ");
    });

    test("fails without a listener", async () => {
      expect(await asked({ ...tcp, port: 5433 })).toBe("failure: ECONNREFUSED");
    });

    test("fails if the application has stopped accepting", async () => {
      const port = family === "address4" ? 5434 : 5435;
      const answers: string[] = [];
      for (let turn = 0; turn < 4; turn += 1)
        answers.push(await asked({ ...tcp, port, timeoutMs: 500 }));
      expect(answers.at(-1)).toBe("failure: timeout");
    });

    test.each(["1", "0"])("carries no data, with tcp_timestamps=%s", async (on) => {
      await setOptions(on);
      expect(await asked({ ...tcp, port: 5432 })).toBe("success: ");
      expect(await said("SELECT 1", 5432)).toBe("ECONNRESET");
      await setOptions("1");
      expect(database.output).not.toContain("data");
    });

    test("from another host does not reach the application", async () => {
      const before = database.output;
      const client = await c.agent.connect(host, 5432);
      await client.say("SELECT 1");
      await client.finish();
      expect(database.output).toBe(before);
    });
  });

  describe("a gRPC probe", () => {
    const grpc = { kind: "grpc", port: 9000, timeoutMs: deadlineMs(4000) } as const;

    test.each(["", "shop"])(
      "for the declared service %j is answered by the application",
      async (service) => {
        await oneMore(counted("grpc", "passed", "declared"), async () => {
          expect(await asked({ ...grpc, service })).toBe("success: SERVING");
        });
        await mesh.proxies[1]?.says(
          /Closed connection from \S+ to \S+:9000\]?: peer=probe \(grpc\)/,
        );
      },
    );

    test("waits for the application's settings before the request, as Go's client does", async () => {
      await oneMore(counted("grpc", "passed", "declared"), async () => {
        const client = await node.agent.connect(host, 9000);
        await client.sayBytes(Buffer.concat([preface, settings]));
        const { bytes } = await client.received(9);
        await client.sayBytes(Buffer.concat([settingsAck, headers(), data("shop")]));
        // The answer's headers, its message of seven bytes, and its trailers.
        expect((await client.received(bytes + 60)).text).toContain("\0\0\0\0\u0002\b\u0001");
        await client.end();
        await client.finish();
      });
      await oneMore(counted("grpc", "refused", "service"), async () => {
        const client = await node.agent.connect(host, 9000);
        await client.sayBytes(Buffer.concat([preface, settings]));
        await client.received(9);
        await client.sayBytes(Buffer.concat([settingsAck, headers(), data("second")]));
        expect((await client.finish()).ending).toBe("ECONNRESET");
      });
      await mesh.proxies[1]?.says(
        /peer=probe \(grpc\) .*end="downstream: the service \\"second\\" is not declared/,
      );
      expect(health.output).not.toContain("second");
    });

    test("times out if the application hangs", async () => {
      expect(await asked({ ...grpc, service: "hung", timeoutMs: 500 })).toBe("failure: timeout");
    });

    test("fails if the application is dead", async () => {
      await oneMore(counted("grpc", "refused", "unreached"), async () => {
        expect(await asked({ ...grpc, port: 9001, service: "" })).toStartWith("failure: ");
      });
    });

    test("for another service does not reach the application, and the log names the service", async () => {
      await oneMore(counted("grpc", "refused", "service"), async () => {
        expect(await asked({ ...grpc, service: "cart" })).toStartWith("failure: ");
      });
      await mesh.proxies[1]?.says(/the service \\?"cart\\?" is not declared: --probe/);
      expect(health.output).not.toContain("cart");
    });

    test.each([
      ["path", [preface, settings, headers({ ...checkFields, ":path": "/shop.v1.Cart/Empty" })]],
      ["more", [check(), headers({ ...checkFields, ":path": "/second" }, 3)]],
      ["more", [preface, settings, headers(), headers(checkFields, 3)]],
      ["malformed", [preface, settings, frame(9, 4, 1, Buffer.alloc(0))]],
      ["malformed", [preface, headers()]],
      ["malformed", [Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
      ["timeout", [preface, settings]],
    ] as const)("anything but a probe is reset and counted: %s", async (reason, frames) => {
      const calls = health.output.split("call").length;
      await oneMore(counted("grpc", "refused", reason), async () => {
        expect(await said(Buffer.concat(frames), 9000)).toEndWith("ECONNRESET");
      });
      expect(health.output).not.toMatch(/Cart|second/);
      expect(health.output.split("call").length - calls).toBeLessThanOrEqual(1);
    });

    test("a second stream after the answer ends the connection", async () => {
      await oneMore(counted("grpc", "refused", "more"), async () => {
        const client = await node.agent.connect(host, 9000);
        await client.sayBytes(check());
        await client.received(60);
        await client.sayBytes(headers({ ...checkFields, ":path": "/second" }, 3));
        expect((await client.finish()).ending).toBe("ECONNRESET");
      });
      expect(health.output).not.toContain("/second");
    });

    test("from another host gets nothing", async () => {
      const before = health.output;
      expect(await asked({ ...grpc, service: "" }, c)).toStartWith("failure: ");
      expect(health.output).toBe(before);
    });

    test("and a TCP probe share a port, and so do HTTP and gRPC probes", async () => {
      await oneMore(counted("tcp", "passed", "declared"), async () => {
        expect(await asked({ kind: "tcp", port: 9000, timeoutMs: deadlineMs(4000) })).toBe(
          "success: ",
        );
      });
      const shared = { ...http, port: 8084, path: "/healthz" } as const;
      expect(await asked(shared)).toBe("success: ok /healthz");
      await oneMore(counted("grpc", "refused", "path"), async () => {
        const frames = [preface, settings, headers({ ...checkFields, ":path": "/x" })];
        await said(Buffer.concat(frames), 8084);
      });
    });
  });

  describe("a port with TCP and HTTP probes", () => {
    const both = { timeoutMs: deadlineMs(4000), port: 8082 } as const;

    test("answers both", async () => {
      await oneMore(counted("tcp", "passed", "declared"), async () => {
        expect(await asked({ ...both, kind: "tcp" })).toBe("success: ");
      });
      const answer = await asked({ ...both, kind: "http", path: "/healthz" });
      expect(answer).toBe("success: ok /healthz");
    });

    test("lets no other request through", async () => {
      await oneMore(counted("http", "refused", "path"), async () => {
        expect(await said("GET /secret HTTP/1.0\r\n\r\n", 8082)).toBe("ECONNRESET");
      });
    });

    test("fails both without a listener", async () => {
      const dead = { ...both, port: 8083 };
      expect(await asked({ ...dead, kind: "tcp" })).toBe("failure: ECONNREFUSED");
      const answer = await asked({ ...dead, kind: "http", path: "/healthz" });
      expect(answer).toBe("failure: ECONNREFUSED");
    });
  });

  test.each([
    ["path", "GET /undeclared HTTP/1.1\r\nHost: b\r\n\r\n"],
    ["method", "POST /healthz HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n"],
    ["body", "GET /healthz HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["malformed", "GET /healthz HTTP/1.1\nHost: b\n\n"],
    ["more", "GET /healthz HTTP/1.0\r\n\r\nGET /undeclared HTTP/1.0\r\n\r\n"],
    ["too-long", `GET /healthz HTTP/1.1\r\nHost: b\r\nX: ${"x".repeat(100_000)}\r\n\r\n`],
    ["timeout", "GET /healthz HTTP/1.1\r\nHost: b\r\n"],
  ])("anything but a probe is reset and counted: %s", async (reason, text) => {
    const before = web.output;
    await oneMore(counted("http", "refused", reason), async () => {
      expect(await said(text)).toBe("ECONNRESET");
    });
    expect(web.output).toBe(before);
  });

  test("a client that is silent, or ends before its request, is reset", async () => {
    await oneMore(counted("http", "refused", "silent"), async () => {
      expect(await node.agent.attempt(host, 8080)).toBe("ECONNRESET");
    });
    await oneMore(counted("http", "refused", "closed"), async () => {
      const client = await node.agent.connect(host, 8080);
      await client.end();
      await client.finish();
    });
  });

  test("a second request after the start of the answer ends the connection", async () => {
    await oneMore(counted("http", "refused", "more"), async () => {
      const client = await node.agent.connect(host, 8080);
      await client.say("GET /healthz HTTP/1.1\r\nHost: b\r\n\r\n");
      expect((await client.received(10)).text).toStartWith("HTTP/1.1 200");
      await client.say("GET /undeclared HTTP/1.1\r\nHost: b\r\n\r\n");
      expect((await client.finish()).ending).toBe("ECONNRESET");
    });
    await mesh.proxies[1]?.says(/peer=probe \(http\) .*end="downstream: bytes after the request"/);
    expect(web.output).not.toContain("undeclared");
  });

  test("a slow client whose request arrives in pieces is answered as a probe", async () => {
    const client = await node.agent.connect(host, 8080);
    for (const piece of ["G", "ET /hea", "lthz HTTP/1.1\r", "\nHost: b\r\n\r", "\n"])
      await client.say(piece);
    expect((await client.received(10)).text).toStartWith("HTTP/1.1 200");
    await client.reset();
  });

  test("another host that requests the probe's path gets nothing", async () => {
    expect(await asked({ ...http, path: "/healthz" }, c)).toStartWith("failure: E");
  });

  test("peers still use mutual TLS on the same port", async () => {
    const url = `http://${family === "address4" ? host : `[${host}]`}:8080/peer`;
    expect((await curl(a, url)).output).toBe("ok /peer");
  });
});

test("a peer on the node itself is reached by mutual TLS", async () => {
  const own = mesh.credentials(node);
  const files = `-cert ${own.certificate} -key ${own.key}`;
  const command = `timeout 10 openssl s_client -connect ${b.address4}:8080 ${files} -alpn tproxy/1 -ign_eof`;
  const { stdout } = await node.run(command.split(" "), "GET /peer HTTP/1.0\r\n\r\n");
  expect(stdout).toContain("ok /peer");
});

test("no socket is left on any leg that the proxy carried", async () => {
  // When the kernel resets a connection toward the client only, the application is not notified.
  expect(await mesh.socketsLeft(/:543[2-5] /)).toEqual([]);
});
