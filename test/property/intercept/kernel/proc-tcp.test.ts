import { expect, test } from "bun:test";
import fc from "fast-check";

import {
  parseConnections,
  parseListeners,
  type Tuple,
} from "../../../../src/intercept/kernel/proc-tcp.ts";

const port = fc.integer({ min: 0, max: 65_535 });
const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255);
const four = fc.uint8Array({ minLength: 4, maxLength: 4 });
const six = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => bytes[0] !== 0);
const inode = fc.nat().map(String);
const uid = fc.nat();
const isOpening = fc.boolean();
const tuple = fc.oneof(
  fc.record({
    inode,
    uid,
    isOpening,
    source: four,
    sourcePort: port,
    destination: four,
    destinationPort: port,
  }),
  fc.record({
    inode,
    uid,
    isOpening,
    source: six,
    sourcePort: port,
    destination: six,
    destinationPort: port,
  }),
);

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, "0");
}

/** As net/ipv4/tcp_ipv4.c and net/ipv6/tcp_ipv6.c print it, on a little-endian machine. */
function shown(of: Tuple, at: number, state: string, asSix = false): string {
  const host = (bytes: Uint8Array): string => {
    const whole = asSix && bytes.length === 4 ? Uint8Array.of(...mapped, ...bytes) : bytes;
    return whole
      .toHex()
      .toUpperCase()
      .replaceAll(/(..)(..)(..)(..)/g, "$4$3$2$1");
  };
  const local = `${host(of.source)}:${hex(of.sourcePort)}`;
  const remote = `${host(of.destination)}:${hex(of.destinationPort)}`;
  return `${String(at).padStart(4)}: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${String(of.uid).padStart(5)}        0 ${of.inode} 1 0`;
}

test("connected sockets are read as the kernel prints them, without listeners", () => {
  fc.assert(
    fc.property(fc.array(tuple), fc.boolean(), (tuples, asSix) => {
      const lines = tuples.flatMap((one, at) => [
        shown(one, at, one.isOpening ? "02" : "01", asSix),
        shown(one, at, "0A"),
      ]);
      expect(
        parseConnections(["  sl  local_address rem_address st", ...lines, ""].join("\n")),
      ).toEqual(tuples);
    }),
  );
});

test("any text is read without an error", () => {
  const likely = fc.string({ unit: fc.constantFrom(..."0123456789ABCDEF: \n".split("")) });
  fc.assert(
    fc.property(fc.oneof(fc.string(), likely), (text) => {
      expect(Array.isArray(parseConnections(text))).toBe(true);
      expect(Array.isArray(parseListeners(text, 4))).toBe(true);
    }),
  );
});

test("listeners are read as the kernel prints them, without connections", () => {
  fc.assert(
    fc.property(fc.array(tuple), fc.boolean(), (tuples, asSix) => {
      const lines = tuples.flatMap((one, at) => [
        shown(one, at, "01", asSix),
        shown({ ...one, destinationPort: 0 }, at, "0A", asSix),
      ]);
      expect(parseListeners(lines.join("\n"), 6)).toEqual(
        tuples.map(({ source, sourcePort, inode: socket }) => ({
          family: 6,
          host: source,
          port: sourcePort,
          waiting: 0,
          inode: socket,
        })),
      );
    }),
  );
});

test("TIME-WAIT is no connection, and rx_queue of a listener is its queue", () => {
  const text = [
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:0000000C 00:00000000 00000000     0        0 77 1 0",
    "   1: 0100007F:1F90 0100007F:C350 06 00000000:00000000 03:00000E0B 00000000     0        0 0 3 0",
  ].join("\n");
  expect(parseConnections(text)).toEqual([]);
  const host = Uint8Array.of(127, 0, 0, 1);
  expect(parseListeners(text, 4)).toEqual([
    { family: 4, host, port: 8080, waiting: 12, inode: "77" },
  ]);
});
