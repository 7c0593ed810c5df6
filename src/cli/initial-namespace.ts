/** Whether the proxy runs in a pod, or in the machine's own network namespace. */
import { existsSync } from "node:fs";

/**
 * Whether this is the machine's initial network namespace: net_namespace(7) has no flag for it, but this setting
 * exists only there (net/core/sysctl_net_core.c). Without /proc the answer is yes, to be safe.
 */
export function isInitialNetworkNamespace(): boolean {
  return existsSync("/proc/sys/net/core/netdev_max_backlog") || !existsSync("/proc/self/net/tcp");
}
