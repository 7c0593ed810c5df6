/** Hand-made HTTP/2, for clients that behave as no library does: RFC 9113. */
import { healthRequest } from "./kubelet.ts";

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without Huffman coding and without the dynamic table. */
export function block(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), string(name), string(value)]),
  );
}

function string(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, "latin1")]);
}

export const checkFields = {
  ":method": "POST",
  ":scheme": "http",
  ":path": "/grpc.health.v1.Health/Check",
  ":authority": "10.0.0.1:9000",
  "content-type": "application/grpc",
  te: "trailers",
};

export const settings = frame(4, 0, 0, Buffer.alloc(0));
export const settingsAck = frame(4, 1, 0, Buffer.alloc(0));

export function headers(
  fields: Readonly<Record<string, string>> = checkFields,
  stream = 1,
): Buffer {
  return frame(1, 0x4, stream, block(fields));
}

export function data(service = "", stream = 1): Buffer {
  return frame(0, 0x1, stream, healthRequest(service));
}

/** The bytes of a complete check, from the preface on. */
export function check(service = ""): Buffer {
  return Buffer.concat([preface, settings, headers(), data(service)]);
}
