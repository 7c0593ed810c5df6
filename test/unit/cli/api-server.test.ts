/** The API server's address, from the environment and the service account's token. */
import { expect, test } from "bun:test";

import { apiServersOf, namedApiServer } from "../../../src/cli/api-server.ts";
import { formatSocketAddress } from "../../../src/net/address.ts";

function found(environment: Record<string, string>, token = ""): readonly string[] {
  return apiServersOf(environment, token).map(formatSocketAddress);
}

function tokenOf(claims: unknown): string {
  return [part({ alg: "RS256" }), part(claims), "signature"].join(".");
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

const service = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

test.each([
  ["the Service", service, ["10.96.0.1:443"]],
  [
    "the endpoint instead of the Service",
    { ...service, KUBERNETES_SERVICE_HOST: "172.18.0.2", KUBERNETES_SERVICE_PORT: "6443" },
    ["172.18.0.2:6443"],
  ],
  ["IPv6", { ...service, KUBERNETES_SERVICE_HOST: "fd96::1" }, ["[fd96::1]:443"]],
  [
    "an IPv4-mapped address",
    { ...service, KUBERNETES_SERVICE_HOST: "::ffff:10.96.0.1" },
    ["10.96.0.1:443"],
  ],
  [
    "an endpoint and the Service's links",
    {
      ...service,
      KUBERNETES_SERVICE_HOST: "172.18.0.2",
      KUBERNETES_PORT: "tcp://10.96.0.1:443",
      KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
    },
    ["172.18.0.2:443", "10.96.0.1:443"],
  ],
  [
    "a second port",
    { ...service, KUBERNETES_SERVICE_PORT_HTTPS: "6443" },
    ["10.96.0.1:443", "10.96.0.1:6443"],
  ],
  ["a name", { ...service, KUBERNETES_SERVICE_HOST: "api.example.org" }, []],
  ["port 0", { ...service, KUBERNETES_SERVICE_PORT: "0" }, []],
  ["a host without a port", { KUBERNETES_SERVICE_HOST: "10.96.0.1" }, []],
  ["nothing", {}, []],
  ["rubbish", { ...service, KUBERNETES_SERVICE_PORT: "99999", KUBERNETES_PORT: "tcp://" }, []],
] as const)("%s", (_, environment, wanted) => {
  expect(found(environment)).toEqual([...wanted]);
});

test("port 0 in a token's issuer is no endpoint", () => {
  expect(found({}, tokenOf({ iss: "https://172.18.0.2:0" }))).toEqual([]);
});

test("addresses in the token's issuer and audience are endpoints", () => {
  expect(
    found({}, tokenOf({ iss: "https://172.18.0.2:6443", aud: ["https://[fd18::2]"] })),
  ).toEqual(["172.18.0.2:6443", "[fd18::2]:443"]);
  expect(found(service, tokenOf({ iss: "https://10.96.0.1" }))).toEqual(["10.96.0.1:443"]);
});

test.each([
  ["a cluster's own name", tokenOf({ iss: "https://kubernetes.default.svc.cluster.local" })],
  ["plain HTTP", tokenOf({ iss: "http://172.18.0.2" })],
  ["numbers", tokenOf({ iss: 7, aud: [null] })],
  ["a list", tokenOf([])],
  ["no token", "x.y.z"],
  ["null", tokenOf(null)],
] as const)("a token with %s gives no endpoint", (_, token) => {
  expect(found({}, token)).toEqual([]);
});

test("names and addresses are distinguished", () => {
  expect(namedApiServer({ KUBERNETES_SERVICE_HOST: "api.example.org" })).toBe("api.example.org");
  for (const host of ["10.96.0.1", "fd96::1", "", undefined])
    expect(namedApiServer({ KUBERNETES_SERVICE_HOST: host })).toBeNull();
});
