/** Requests to the kernel and their answers. The kernel acts within send(2), so nothing waits. */
import { ProxyError } from "../runtime/errors.ts";
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import * as netlink from "../native/netlink.ts";
import { control, find, message, readMessages, type MessageHeader, type Message } from "./wire.ts";

export const protocol = netlink.netlinkFamily;

/** A message without its sequence number; `about` describes the attempt in errors. */
export type Request = MessageHeader & {
  readonly body: readonly Uint8Array[];
  readonly about: string;
};

/** Opens a conversation with one of the kernel's families; tests replace it by their own. */
export type Kernel = (of: number) => Conversation;

export type Conversation = Disposable & Pick<NetlinkSocket, "send" | "exchange">;

export const kernel: Kernel = (of) => new NetlinkSocket(of);

export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(receiveBytesMax);
  #sequence = 1;

  /** Throws SystemCallError. */
  constructor(of: number) {
    this.#fd = netlink.openNetlink(of, batchBytesMax);
  }

  /**
   * Sends requests as one datagram. Throws SystemCallError for the first refusal, with the attempt, the errno, and
   * the kernel's own message.
   */
  send(requests: readonly Request[]): void {
    this.exchange(requests);
  }

  /** Like `send`; returns the kernel's answers without acknowledgements. */
  exchange(requests: readonly Request[]): readonly Message[] {
    const first = this.#sequence;
    this.#sequence += requests.length;
    const datagram = requests.map((request, index) =>
      message(request, first + index, ...request.body),
    );
    netlink.sendNetlink(this.#fd, new Uint8Array(Buffer.concat(datagram)));
    return this.#collect((sequence) => requests[sequence - first]?.about ?? "netlink");
  }

  [Symbol.dispose](): void {
    native.close(this.#fd);
  }

  /** Reads everything available: the kernel has queued it, or queues the next part of a dump as this one is read. */
  #collect(aboutOf: (sequence: number) => string): readonly Message[] {
    const answers: Message[] = [];
    let refusal: SystemCallError | null = null;
    for (;;) {
      const length = netlink.receiveNetlink(this.#fd, this.#buffer);
      if (length === null) break;
      if (length > this.#buffer.length) throw new ProxyError("NETLINK_INVALID", "answer too long");
      for (const answer of readMessages(this.#buffer.slice(0, length))) {
        // The end of a dump carries an errno, like an error: netlink(7).
        const ends = answer.type === control.error || answer.type === control.done;
        if (ends) refusal ??= refusalOf(answer, aboutOf(answer.sequence));
        else answers.push(answer);
      }
    }
    if (refusal !== null) throw refusal;
    return answers;
  }
}

/** struct nlmsgerr: -errno, the request's header, and with NETLINK_EXT_ACK attributes. Null for a plain ack. */
function refusalOf(answer: Message, about: string): SystemCallError | null {
  if (answer.payload.length < 4) return null;
  const view = new DataView(answer.payload.buffer, answer.payload.byteOffset);
  const errno = -view.getInt32(0, true);
  if (errno === 0) return null;
  return new SystemCallError(about + wordsOf(answer, view), errno);
}

/** NLMSGERR_ATTR_MSG. Without NLM_F_CAPPED the whole request precedes the attributes. */
function wordsOf(answer: Message, view: DataView): string {
  if (answer.type === control.done) return "";
  if ((answer.flags & extendedAckFlag) === 0) return "";
  const capped = (answer.flags & cappedFlag) !== 0;
  const start = 4 + (capped ? 16 : (view.getUint32(4, true) + 3) & ~3);
  const words = find(answer.payload.subarray(start), 1);
  return words === undefined ? "" : ` (${new TextDecoder().decode(words).replace("\0", "")})`;
}

/** Whether an error is one of these refusals by the kernel. */
export function isErrno(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof SystemCallError && names.includes(errnoName(error.errno));
}

const receiveBytesMax = 1 << 20;
const batchBytesMax = 1 << 24;
const cappedFlag = 0x100;
const extendedAckFlag = 0x200;
