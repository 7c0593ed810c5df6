/** Netlink sockets: netlink(7). */
import { check } from "./errno.ts";
import { shim } from "./native.ts";

export const netlinkFamily = { route: 0, diag: 4, netfilter: 12 } as const;

/** A netlink socket with a send buffer for `batchBytesMax`. The caller closes it. */
export function openNetlink(family: number, batchBytesMax: number): number {
  const fd = check("socket(AF_NETLINK)", shim.tproxy_socket(afNetlink, sockRaw, family));
  // Without CAP_NET_ADMIN the default must suffice: then the kernel refuses the batch anyway.
  shim.tproxy_set_integer(fd, solSocket, soSndbufForce, batchBytesMax);
  shim.tproxy_set_integer(fd, solSocket, soRcvbufForce, batchBytesMax);
  shim.tproxy_set_integer(fd, solNetlink, netlinkExtendedAck, 1);
  // Without this, before Linux 4.20, a dump is not filtered: its reader checks each answer.
  shim.tproxy_set_integer(fd, solNetlink, netlinkGetStrictCheck, 1);
  return fd;
}

/** A netlink socket that receives the kernel's notices of these multicast groups. The caller closes it. */
export function openNotices(family: number, groups: readonly number[]): number {
  const fd = check("socket(AF_NETLINK)", shim.tproxy_socket(afNetlink, sockRaw, family));
  shim.tproxy_set_integer(fd, solSocket, soRcvbufForce, noticeBytesMax);
  for (const group of groups)
    check(
      "setsockopt(NETLINK_ADD_MEMBERSHIP)",
      shim.tproxy_set_integer(fd, solNetlink, netlinkAddMembership, group),
    );
  // A socket gets its address when it first sends, and receives nothing without one.
  sendNetlink(fd, nothing);
  return fd;
}

/** Sends one datagram; the kernel has executed it when this returns. */
export function sendNetlink(fd: number, bytes: Uint8Array): void {
  check("send(AF_NETLINK)", shim.tproxy_netlink_send(fd, bytes, bytes.length));
}

/** Receives one datagram into `buffer`; returns its true length, or null if none is pending. */
export function receiveNetlink(fd: number, buffer: Uint8Array): number | null {
  const length = shim.tproxy_netlink_receive(fd, buffer, buffer.length);
  return length === -eagain ? null : check("recv(AF_NETLINK)", length);
}

/** struct nlmsghdr of NLMSG_NOOP. */
const nothing = Uint8Array.of(16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
/** Room for pending notices: the replacement of a whole ruleset, several times. */
const noticeBytesMax = 1 << 22;
const afNetlink = 16;
const sockRaw = 3;
const solSocket = 1;
const soSndbufForce = 32;
const soRcvbufForce = 33;
const solNetlink = 270;
const netlinkAddMembership = 1;
const netlinkExtendedAck = 11;
const netlinkGetStrictCheck = 12;
const eagain = 11;
