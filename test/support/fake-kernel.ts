/** A kernel whose answers the test chooses; it records the requests. */
import { SystemCallError } from "../../src/native/errno.ts";
import type { Kernel, Request } from "../../src/netlink/socket.ts";

export class FakeKernel {
  readonly asked: string[] = [];
  readonly #errnoOf: (request: Request) => number;

  /** `errnoOf`: 0 if the request succeeds, else its error. */
  constructor(errnoOf: (request: Request) => number) {
    this.#errnoOf = errnoOf;
  }

  readonly open: Kernel = () => ({
    send: (requests) => {
      this.#answer(requests);
    },
    exchange: (requests) => {
      this.#answer(requests);
      return [];
    },
    [Symbol.dispose]: () => undefined,
  });

  /** Like a batch: the first refusal undoes the rest, and is reported to the caller. */
  #answer(requests: readonly Request[]): void {
    for (const request of requests) {
      const errno = this.#errnoOf(request);
      if (errno !== 0) throw new SystemCallError(request.about, errno);
    }
    this.asked.push(...requests.map(({ about }) => about));
  }
}
