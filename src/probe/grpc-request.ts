/**
 * One call of grpc.health.v1.Health/Check over HTTP/2, frame by frame: RFC 9113. A client waits for the server's
 * settings before its request, so its own settings pass first; its one request passes when it is complete and
 * declared. Pure.
 */
import { ProxyError } from "../runtime/errors.ts";
import { contentOf, frameFlag, frameType, readFrame, type Frame } from "./frames.ts";
import { judgeCall } from "./grpc-headers.ts";
import { HpackDecoder } from "./hpack.ts";
import { excerpt, refuse, type Judge, type Judgement, type ProbeRefusal } from "./judge.ts";

type Stage = "preface" | "settings" | "headers" | "body" | "done";

/** `services` that may be checked; "" is the server as a whole. */
export class GrpcJudge implements Judge {
  readonly kind = "grpc";
  readonly #bodies: readonly Buffer[];
  #stage: Stage = "preface";
  #stream = 0;
  /** Total bytes received. */
  #length = 0;
  /** Not judged yet. */
  #rest = Buffer.alloc(0);
  /** Judged, and kept until the request is complete: frames keep their order. */
  readonly #waiting: Uint8Array[] = [];
  #body = Buffer.alloc(0);

  constructor(services: readonly string[]) {
    this.#bodies = services.map(messageOf);
  }

  push(chunk: Uint8Array): Judgement {
    this.#length += chunk.length;
    if (this.#length > bytesMax) return refuse("too-long", "a call that is too long");
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const refusal = this.#takePreface() ?? this.#takeFrames();
    if (refusal !== null) return refuse(refusal.reason, refusal.detail);
    const bytes = this.#releases() ? new Uint8Array(Buffer.concat(this.#waiting.splice(0))) : none;
    return { kind: "pass", bytes, complete: this.#stage === "done" };
  }

  /** True unless inside the settings or the request. */
  #releases(): boolean {
    return this.#stage === "headers" || this.#stage === "done";
  }

  #takePreface(): ProbeRefusal | null {
    if (this.#stage !== "preface") return null;
    const start = this.#rest.subarray(0, preface.length);
    if (!preface.subarray(0, start.length).equals(start))
      return refuse("malformed", "no preface of HTTP/2");
    if (start.length === preface.length) {
      this.#waiting.push(start);
      this.#rest = this.#rest.subarray(preface.length);
      this.#stage = "settings";
    }
    return null;
  }

  #takeFrames(): ProbeRefusal | null {
    while (this.#stage !== "preface") {
      const frame = readFrame(this.#rest);
      if (frame === null) return null;
      const refusal = this.#judge(frame);
      if (refusal !== null) return refusal;
      this.#waiting.push(frame.bytes);
      this.#rest = this.#rest.subarray(frame.bytes.length);
    }
    return null;
  }

  #judge(frame: Frame): ProbeRefusal | null {
    if (this.#stage === "settings") return this.#takeSettings(frame);
    if (frame.type === frameType.headers) return this.#takeHeaders(frame);
    if (frame.type === frameType.data) return this.#takeData(frame);
    return isOfConnection(frame) || this.#isOfStream(frame)
      ? null
      : refuse("malformed", `a frame of type ${frame.type} that no probe has`);
  }

  #takeSettings(frame: Frame): ProbeRefusal | null {
    const isFirst = frame.type === frameType.settings && frame.flags === 0;
    if (!isFirst || !isOfConnection(frame)) return refuse("malformed", "no settings first");
    this.#stage = "headers";
    return null;
  }

  #takeHeaders(frame: Frame): ProbeRefusal | null {
    if (this.#stage !== "headers") return refuse("more", "a second call");
    const block = contentOf(frame);
    const isWhole =
      (frame.flags & (frameFlag.endHeaders | frameFlag.endStream)) === frameFlag.endHeaders;
    // Clients use odd stream numbers, and the highest bit is reserved: RFC 9113, 5.1.1 and 4.1.
    if (block === null || !isWhole || frame.stream % 2 === 0 || frame.stream > streamMax)
      return refuse("malformed", "headers that are not those of a call");
    this.#stream = frame.stream;
    this.#stage = "body";
    return judgeBlock(block);
  }

  #takeData(frame: Frame): ProbeRefusal | null {
    if (this.#stage !== "body" || frame.stream !== this.#stream)
      return refuse("more", "data that are not the call's");
    const content = contentOf(frame);
    if (content === null) return refuse("malformed", "padding that is longer than its frame");
    this.#body = Buffer.concat([this.#body, content]);
    if ((frame.flags & frameFlag.endStream) === 0) return null;
    this.#stage = "done";
    if (this.#bodies.some((body) => body.equals(this.#body))) return null;
    const asked = excerpt(this.#body.subarray(bodyNameAt).toString("latin1"));
    return refuse("service", `the service ${asked} is not declared: --probe grpc:PORT/SERVICE`);
  }

  #isOfStream({ type, stream, payload }: Frame): boolean {
    if (type === frameType.priority) return payload.length === 5;
    const hasStream = this.#stream !== 0 && stream === this.#stream;
    return (
      hasStream &&
      payload.length === 4 &&
      (type === frameType.reset || type === frameType.windowUpdate)
    );
  }
}

/** Frames without a message for the application: RFC 9113, 6.5 to 6.9. */
function isOfConnection({ type, flags, stream, payload }: Frame): boolean {
  if (stream !== 0) return false;
  switch (type) {
    case frameType.settings:
      return (flags & frameFlag.ack) === 0 ? payload.length % 6 === 0 : payload.length === 0;
    case frameType.ping:
      return payload.length === 8;
    case frameType.goAway:
      return payload.length >= 8;
    case frameType.windowUpdate:
      return payload.length === 4;
    default:
      return false;
  }
}

function judgeBlock(block: Uint8Array): ProbeRefusal | null {
  try {
    return judgeCall(new HpackDecoder(tableBytes).decode(block));
  } catch (error) {
    if (error instanceof ProxyError) return refuse("malformed", error.message);
    throw error;
  }
}

/** HealthCheckRequest with `service` as field 1, in a gRPC message: uncompressed, with its length. */
function messageOf(service: string): Buffer {
  const name = Buffer.from(service);
  const length =
    name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = service === "" ? name : Buffer.concat([Buffer.of(0x0a, ...length), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** Limit for all data of a client. */
const bytesMax = 16_384;
const streamMax = 0x7f_ff_ff_ff;
/** SETTINGS_HEADER_TABLE_SIZE until the server announces another: clients do not wait for a larger one. */
const tableBytes = 4096;
/** After the gRPC message header, and the field's number and length. */
const bodyNameAt = 7;
const none = new Uint8Array(0);
