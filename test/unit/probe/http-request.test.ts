/** Which HTTP requests are a declared probe: one that an application could read differently is refused. */
import { expect, test } from "bun:test";

import { HttpJudge, judgeRequest } from "../../../src/probe/http-request.ts";

const paths = ["/healthz", "/"];
const kubelet =
  "GET /healthz HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: kube-probe/1.30\r\nAccept: */*\r\nConnection: close\r\n\r\n";

function judged(text: string): string {
  const found = judgeRequest(Buffer.from(text, "latin1"), paths);
  return typeof found === "string" ? found : found.reason;
}

test.each([
  ["the kubelet's own", kubelet],
  ["HEAD", kubelet.replace("GET", "HEAD")],
  ["with a query", kubelet.replace("/healthz", "/healthz?verbose=1&x=/../secret")],
  ["the root", kubelet.replace("/healthz", "/")],
  ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"],
  ["a body of length zero", kubelet.replace("\r\n\r\n", "\r\nContent-Length:  0 \r\n\r\n")],
  ["a host by its name", kubelet.replace("10.0.0.1:8080", "web-1.my_shop.svc:80")],
  ["an IPv6 host", kubelet.replace("10.0.0.1:8080", "[fd00::1]:8080")],
  ["an empty host", kubelet.replace("10.0.0.1:8080", "")],
  [
    "of a balancer",
    kubelet.replace("kube-probe/1.30\r\n", "GoogleHC/1.0\r\nX-Forwarded-For: 10.0.0.9\r\n"),
  ],
  ["custom fields", kubelet.replace("\r\n\r\n", "\r\nX-Key: a\tb, \u00e4\r\nEmpty:\r\n\r\n")],
])("a probe: %s", (_, text) => {
  expect(judged(text)).toBe("probe");
});

test.each(["", "G", "GET /healthz HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.0\r\n\r"])(
  "%j is incomplete",
  (text) => {
    expect(judged(text)).toBe("incomplete");
  },
);

const get = (target: string, more = ""): string =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

test.each([
  [get("/secret"), "path"],
  [get("/healthz/"), "path"],
  [get("/healthz/../secret"), "path"],
  [get("/%68ealthz"), "path"],
  [get("//healthz"), "path"],
  [get("/healthz;x"), "path"],
  [get("/HEALTHZ"), "path"],
  [get("/healthz#x"), "malformed"],
  [get("http://a/healthz"), "malformed"],
  [get("*"), "malformed"],
  [get("/healthz "), "malformed"],
  [` ${kubelet}`, "malformed"],
  [`\r\n${kubelet}`, "malformed"],
  [kubelet.replace("GET", "POST"), "method"],
  [kubelet.replace("GET", "get"), "method"],
  [kubelet.replace("GET", "CONNECT"), "method"],
  [kubelet.replace("GET ", "GET\t"), "malformed"],
  [kubelet.replace("GET ", "GET  "), "malformed"],
  [kubelet.replace("HTTP/1.1", "HTTP/1.2"), "malformed"],
  [kubelet.replace("HTTP/1.1", "HTTP/2.0"), "malformed"],
  [kubelet.replace(" HTTP/1.1", ""), "malformed"],
  [kubelet.replace("Host:", "Host :"), "malformed"],
  [kubelet.replace("User", " User"), "malformed"],
  [kubelet.replace("User-Agent", "\tUser"), "malformed"],
  [kubelet.replace("User-Agent:", "User Agent:"), "malformed"],
  [kubelet.replace("User-Agent:", ":"), "malformed"],
  [kubelet.replace("User-Agent: ", "User-Agent"), "malformed"],
  [kubelet.replace(/Host.*\r\n/, ""), "malformed"],
  [get("/healthz", "host: b\r\n"), "malformed"],
  [kubelet.replace("\r\nUser", "\nUser"), "malformed"],
  [kubelet.replace("\r\nUser", "\rUser"), "malformed"],
  [kubelet.replace("\r\n\r\n", "\n\n"), "malformed"],
  [kubelet.replace("Accept", "Acc\0ept"), "malformed"],
  [kubelet.replace("*/*", "*\u000B/*"), "malformed"],
  [get("/healthz", "Content-Length: 1\r\n"), "body"],
  [get("/healthz", "Content-Length: 00\r\n"), "body"],
  [get("/healthz", "Content-Length: +0\r\n"), "body"],
  [get("/healthz", "Content-Length: 0,0\r\n"), "body"],
  [get("/healthz", "Content-Length: \u00a00\r\n"), "body"],
  [get("/healthz", "Content-Length: 0\r\ncontent-length: 0\r\n"), "malformed"],
  [get("/healthz", "Transfer-Encoding: chunked\r\n"), "body"],
  [get("/healthz", "transfer-encoding: identity\r\n"), "body"],
  [get("/healthz", "X-Original-URL: /secret\r\n"), "malformed"],
  [get("/healthz", "x-http-method-override: DELETE\r\n"), "malformed"],
  ...[
    "X_HTTP_Method_Override: DELETE",
    "x_original_url: /secret",
    "X.Original.URL: /secret",
    "X~Rewrite!Url: /secret",
    "X-HTTP_Method: DELETE",
    "X-HTTPMethod-Override: DELETE",
    "X-Original-URI: /secret",
    "X-Forwarded-Prefix: /secret",
    "X-Forwarded-Path: /secret",
    "X-Envoy-Original-Path: /secret",
    "Script_Name: /secret",
    "PATH-INFO: /secret",
    "Request-Uri: /secret",
    "Proxy: http://attacker",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
    "X: a\u0085X-HTTP-Method-Override: DELETE",
    "X: a\u00c2\u0085X-HTTP-Method-Override: DELETE",
    "X: a\u00e2\u0080\u00a8X-HTTP-Method-Override: DELETE",
    "X: a\u000cX-HTTP-Method-Override: DELETE",
    "X: a\u001eX-HTTP-Method-Override: DELETE",
  ].map((field) => [get("/healthz", `${field}\r\n`), "malformed"] as const),
  ...["a/secret?", "a#", "a, b", "user@a", "a\\secret", "[::1]/secret", "a:b", "a b"].map(
    (host) => [kubelet.replace("10.0.0.1:8080", host), "malformed"] as const,
  ),
  [get("/healthz", "Content_Length: 1\r\n"), "body"],
  [get("/healthz", "Content.Length: 1\r\n"), "body"],
  [get("/healthz", "Content-Length: 0\r\nContent_Length: 0\r\n"), "malformed"],
  [get("/healthz", "Transfer_Encoding: chunked\r\n"), "body"],
  [get("/healthz", "TRANSFER|ENCODING: identity\r\n"), "body"],
  [get("/healthz", "HOST: a\r\n"), "malformed"],
  [`${kubelet}G`, "more"],
  [`${kubelet}${kubelet}`, "more"],
  [get("/healthz", `X: ${"y".repeat(9000)}\r\n`), "too-long"],
  [`GET /${"y".repeat(9000)}`, "too-long"],
  ["\u0016\u0003\u0001", "malformed"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed"],
])("not a probe: %j", (text, reason) => {
  expect(judged(text)).toBe(reason);
});

test("the log quotes the client's text, shortened", () => {
  const found = judgeRequest(Buffer.from(get(`/"${"x".repeat(500)}`)), paths);
  expect(found).toMatchObject({
    detail: expect.stringContaining(`the path "/\\"${"x".repeat(58)}…" is not declared`),
  });
});

test("single bytes are held until the last, then pass together; nothing passes after them", () => {
  const judge = new HttpJudge(paths);
  const passed: number[] = [];
  for (const byte of Buffer.from(kubelet)) {
    const judgement = judge.push(Uint8Array.of(byte));
    if (judgement.kind === "pass") passed.push(judgement.bytes.length);
  }
  expect(passed).toEqual([...Array.from({ length: kubelet.length - 1 }, () => 0), kubelet.length]);
  expect(judge.push(Uint8Array.of(71))).toMatchObject({ kind: "refuse", reason: "more" });
});

test("no more of an endless request is held than the limit", () => {
  const judge = new HttpJudge(paths);
  const endless = Buffer.from(`GET / HTTP/1.1\r\nX: ${"y".repeat(1 << 19)}`);
  expect(judge.push(endless)).toMatchObject({ kind: "refuse", reason: "too-long" });
});
