/** The frames on one interface, stored as received. */
import * as native from "../../native/native.ts";
import * as packet from "./packet.ts";

export type Captured = { readonly frames: readonly Uint8Array[]; readonly dropped: number };

/** Starts to capture on an interface. Nothing is read until `finish`: the kernel buffers it. */
export class Capture {
  readonly #fd: number;

  /** Throws SystemCallError; needs CAP_NET_RAW. */
  constructor(interfaceIndex: number) {
    this.#fd = packet.openPacket();
    try {
      packet.setPacketBuffer(this.#fd, receiveBufferBytes);
      packet.bindPacket(this.#fd, interfaceIndex);
    } catch (error) {
      native.close(this.#fd);
      throw error;
    }
  }

  /** Ends the capture: all frames so far, and how many the kernel had no room for. */
  finish(): Captured {
    try {
      const frames = this.#read();
      return { frames, dropped: packet.packetStatistics(this.#fd).dropped };
    } finally {
      native.close(this.#fd);
    }
  }

  #read(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const buffer = new Uint8Array(frameBytesMax);
    for (;;) {
      const length = packet.receiveFrame(this.#fd, buffer);
      if (length === null) return frames;
      frames.push(buffer.slice(0, length));
    }
  }
}

/** Segmentation happens as late as possible (GSO), so a frame on veth may be a whole IP packet: 64 KiB. */
const frameBytesMax = 65_536 + 64;
const receiveBufferBytes = 4 * 1024 * 1024;
