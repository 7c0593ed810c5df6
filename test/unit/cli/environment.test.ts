/** Environment variables that are not settings: empty ones of templates, Kubernetes' service links, mistakes. */
import { expect, test } from "bun:test";

import { environmentNotes, takeOutForeign } from "../../../src/cli/environment.ts";

const known = new Set(["TPROXY_TCP_PORT", "TPROXY_MESH_CIDR"]);

function detailsOf(environment: Record<string, string>): readonly string[] {
  const left: Record<string, string | undefined> = { ...environment };
  takeOutForeign(left);
  return environmentNotes(left, known).map(({ detail, remedy }) => `${detail}. ${remedy}`);
}

test("the variables of a Service named tproxy-tcp do not prevent the start, and are reported once", () => {
  const links = {
    TPROXY_TCP_PORT: "tcp://10.96.3.4:8080",
    TPROXY_TCP_PORT_8080_TCP: "tcp://10.96.3.4:8080",
    TPROXY_TCP_PORT_8080_TCP_ADDR: "10.96.3.4",
    TPROXY_TCP_PORT_8080_TCP_PORT: "8080",
    TPROXY_TCP_PORT_8080_TCP_PROTO: "tcp",
    TPROXY_TCP_SERVICE_HOST: "10.96.3.4",
    TPROXY_TCP_SERVICE_PORT: "8080",
    TPROXY_TCP_SERVICE_PORT_HTTP: "8080",
  };
  const environment: Record<string, string | undefined> = { ...links };
  takeOutForeign(environment);
  expect(environment["TPROXY_TCP_PORT"]).toBeUndefined();
  expect(detailsOf(links)).toEqual([
    expect.stringMatching(/^TPROXY_TCP_PORT is ignored: .*enableServiceLinks: false/) as never,
  ]);
});

test.each(["udp://10.96.3.4:53", "sctp://[fd96::4]:53"])("%s is not a setting either", (value) => {
  expect(detailsOf({ TPROXY_TCP_PORT: value })).toHaveLength(1);
});

test("the note survives the re-execution", () => {
  const environment: Record<string, string | undefined> = { TPROXY_TCP_PORT: "tcp://10.96.3.4:1" };
  takeOutForeign(environment);
  takeOutForeign(environment);
  expect(environmentNotes(environment, known)).toHaveLength(1);
});

test("empty values are unset, valid ones are used, and other programs' variables are ignored", () => {
  const environment: Record<string, string | undefined> = {
    TPROXY_MESH_CIDR: "",
    TPROXY_TCP_PORT: "15001",
    OTHER: "tcp://x",
    EMPTY: "",
  };
  takeOutForeign(environment);
  expect(environment).toEqual({ TPROXY_TCP_PORT: "15001", OTHER: "tcp://x", EMPTY: "" });
  expect(environmentNotes(environment, known)).toEqual([]);
});

test.each([
  ["TPROXY_MESH_CIDRS", "Did you mean TPROXY_MESH_CIDR?"],
  ["TPROXY_TCPPORT", "Did you mean TPROXY_TCP_PORT?"],
  ["TPROXY_SOMETHING_ELSE", "tls-tproxy --help names the options."],
])("%s is not a setting", (name, remedy) => {
  expect(detailsOf({ [name]: "x" })).toEqual([
    `${name} is not a setting, and is ignored. ${remedy}`,
  ]);
});
