/**
 * Sends one TCP segment with a forged source, as any host on the same network can: `bun injector.ts FROM TO SEQUENCE
 * ACK TEXT [FLAGS] [OPTIONS]`, addresses like 10.0.0.1:80 or [fd00::1]:80; flags as in the TCP header, and its options
 * in hexadecimal, a multiple of four bytes.
 */
import { shim } from "../../src/native/native.ts";
import { encodeSocketAddress, parseSocketAddress, portedAs } from "../../src/net/address.ts";

const [from = "", to = "", sequence = "0", acknowledged = "0", text = "", ...rest] =
  process.argv.slice(2);
const [flags = "0x18", optionsText = ""] = rest;
const options = Buffer.from(optionsText, "hex");
const source = parseSocketAddress(from);
const destination = parseSocketAddress(to);
/** AF_INET or AF_INET6, SOCK_RAW, IPPROTO_RAW: we write the header, and the kernel the IPv4 checksum. raw(7). */
const fd = shim.tproxy_socket(source.family === 4 ? 2 : 10, 3, 255);
const data = Buffer.from(text.padEnd(text.length + (text.length % 2)));
const packet = packetOf();
// For an IPv6 raw socket the port is the protocol: none.
if (shim.tproxy_connect(fd, encodeSocketAddress(portedAs(destination, 0))) < 0)
  throw new Error("connect");
console.log(shim.tproxy_netlink_send(fd, packet, packet.length));

function packetOf(): Buffer {
  const tcp = Buffer.alloc(20 + options.length);
  options.copy(tcp, 20);
  tcp.writeUInt16BE(source.port, 0);
  tcp.writeUInt16BE(destination.port, 2);
  tcp.writeUInt32BE(Number(sequence), 4);
  tcp.writeUInt32BE(Number(acknowledged), 8);
  // Five words and the options; PSH and ACK by default.
  tcp.writeUInt16BE(((tcp.length / 4) << 12) | Number(flags), 12);
  tcp.writeUInt16BE(500, 14);
  const ends = Buffer.concat([source.bytes, destination.bytes]);
  const pseudo = Buffer.concat([ends, Buffer.of(0, 6, 0, tcp.length + data.length)]);
  tcp.writeUInt16BE(checksum(Buffer.concat([pseudo, tcp, data])), 16);
  const length = tcp.length + data.length;
  const ip =
    source.family === 4
      ? Buffer.from([0x45, 0, 0, length + 20, 0, 1, 0, 0, 64, 6, 0, 0])
      : Buffer.from([0x60, 0, 0, 0, 0, length, 6, 64]);
  return Buffer.concat([ip, ends, tcp, data]);
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xff_ff) sum = (sum & 0xff_ff) + (sum >>> 16);
  return ~sum & 0xff_ff;
}
