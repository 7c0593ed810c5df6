/** The shim's symbol table: ffi/src/shim.zig in bun:ffi's terms. Change both, and the version. */

export const abiVersion = 5;

export const symbols = {
  tproxy_abi_version: { args: [], returns: "i32" },
  tproxy_address_size: { args: [], returns: "i32" },
  tproxy_socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  tproxy_set_transparent: { args: ["i32", "i32"], returns: "i32" },
  tproxy_set_integer: { args: ["i32", "i32", "i32", "i32"], returns: "i32" },
  tproxy_set_reset_on_close: { args: ["i32", "i32"], returns: "i32" },
  tproxy_bind: { args: ["i32", "ptr"], returns: "i32" },
  tproxy_listen: { args: ["i32", "i32"], returns: "i32" },
  tproxy_connect: { args: ["i32", "ptr"], returns: "i32" },
  tproxy_local_address: { args: ["i32", "ptr"], returns: "i32" },
  tproxy_peer_address: { args: ["i32", "ptr"], returns: "i32" },
  tproxy_tcp_state: { args: ["i32"], returns: "i32" },
  tproxy_peek: { args: ["i32", "ptr", "u32"], returns: "i32" },
  tproxy_advise: { args: ["u64", "u64", "u32"], returns: "i32" },
  tproxy_netlink_send: { args: ["i32", "ptr", "u32"], returns: "i32" },
  tproxy_netlink_receive: { args: ["i32", "ptr", "u32"], returns: "i32" },
  tproxy_duplicate: { args: ["i32"], returns: "i32" },
  tproxy_close: { args: ["i32"], returns: "i32" },
  tproxy_enter: { args: ["u32", "i32", "ptr", "u32", "ptr", "u32"], returns: "i32" },
  tproxy_wait: { args: ["i32"], returns: "i32" },
  tproxy_unshare: { args: ["u32"], returns: "i32" },
  tproxy_mount: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  tproxy_pipe: { args: ["ptr"], returns: "i32" },
  tproxy_packet_bind: { args: ["i32", "i32"], returns: "i32" },
  tproxy_packet_receive: { args: ["i32", "ptr", "u32"], returns: "i32" },
  tproxy_packet_statistics: { args: ["i32", "ptr"], returns: "i32" },
} as const;
