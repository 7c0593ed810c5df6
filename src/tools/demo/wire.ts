/** What an observer on the network between two hosts sees: streams, TLS records and readable text. Pure. */
import { parseFrame, type Segment } from "./frame.ts";
import { reassemble } from "./reassembly.ts";
import { walkRecords } from "./tls-records.ts";

export type WireReport = {
  readonly frames: number;
  /** TCP connections opened. */
  readonly connections: number;
  /** Directions of a connection that carried bytes. */
  readonly streams: number;
  readonly bytes: number;
  /** Connections whose server chose TLS 1.3. */
  readonly tls13Handshakes: number;
  readonly applicationRecords: number;
  /** Bytes outside TLS records. */
  readonly foreignBytes: number;
  /** Bytes missing from the capture. */
  readonly missingBytes: number;
  /** How often each text occurs, in the streams and in single frames. */
  readonly texts: ReadonlyMap<string, number>;
};

/** Reads all frames with one of `addresses` as source and another as destination. */
export function readWire(
  frames: readonly Uint8Array[],
  addresses: readonly string[],
  texts: readonly string[],
): WireReport {
  const chosen = frames.map((frame) => ({ frame, segment: parseFrame(frame) }));
  const between = chosen.filter(({ segment }) => isBetween(segment, addresses));
  const streams = streamsOf(between.flatMap(({ segment }) => segment ?? []));
  const walks = streams.map(({ bytes }) => walkRecords(bytes));
  const places = [...streams.map(({ bytes }) => bytes), ...between.map(({ frame }) => frame)];
  return {
    frames: between.length,
    connections: between.filter(({ segment }) => segment?.syn === true && !segment.ack).length,
    streams: streams.length,
    bytes: sum(streams.map(({ bytes }) => bytes.length)),
    tls13Handshakes: walks.filter(({ versionChosen }) => versionChosen === "1.3").length,
    applicationRecords: sum(walks.map(({ applicationData }) => applicationData)),
    foreignBytes: sum(walks.map(({ foreignBytes }) => foreignBytes)),
    missingBytes: sum(streams.map(({ missing }) => missing)),
    texts: new Map(texts.map((text) => [text, occurrences(places, text)])),
  };
}

function isBetween(segment: Segment | null, addresses: readonly string[]): boolean {
  if (segment === null) return false;
  const hosts = [hostOf(segment.source), hostOf(segment.destination)];
  return hosts.every((host) => addresses.includes(host));
}

function streamsOf(segments: readonly Segment[]): { bytes: Uint8Array; missing: number }[] {
  const directions = Map.groupBy(segments, ({ source, destination }) => `${source} ${destination}`);
  return [...directions.values()].map(reassemble).filter(({ bytes }) => bytes.length > 0);
}

/** The host without brackets and port. */
function hostOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":")).replaceAll(/[[\]]/g, "");
}

function occurrences(places: readonly Uint8Array[], text: string): number {
  return sum(places.map((bytes) => Buffer.from(bytes).toString("latin1").split(text).length - 1));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
