/** The proxy as a native sidecar, as YAML for a pod's spec; install.yaml contains the same lines. Pure. */
import { stringify } from "yaml";

import { ProxyError } from "../runtime/errors.ts";
import { isTrustDomain } from "../identity/spiffe-id.ts";
import type { Probe } from "../probe/probe.ts";
import { quote } from "../runtime/log/escape.ts";

export type SidecarOptions = {
  readonly image: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The trust domain of the SPIFFE ID that its certificate must name. */
  readonly trustDomain: string;
  /** The probes of the pod's other containers. */
  readonly probes: readonly Probe[];
};

/** The fields for a pod's spec. Throws USAGE for names that Kubernetes would refuse. */
export function sidecarManifest(options: SidecarOptions): string {
  assertNames(options);
  return `${identityText(options)}${containerText(options)}${volumesText(options)}`;
}

/** The ID that the certificate must name: SPIFFE's form for service accounts. */
export function spiffeIdOf({ trustDomain, namespace, serviceAccount }: SidecarOptions): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

function identityText({ serviceAccount }: SidecarOptions): string {
  return `serviceAccountName: ${scalar(serviceAccount)}
# A Service named tproxy-… would set variables like TPROXY_TCP_PORT=tcp://…, which are settings here.
enableServiceLinks: false
# Time for the application's own end, then for the proxy's (--drain, 30s).
terminationGracePeriodSeconds: 60
`;
}

function containerText({ image, probes }: SidecarOptions): string {
  return `initContainers:
  # A native sidecar (Kubernetes 1.29): it is ready before the application starts, and ends after it.
  - name: proxy
    image: ${scalar(image)}
    imagePullPolicy: IfNotPresent
    restartPolicy: Always
    args:
      - --credentials=${credentialsDirectory}
      - --policy=${policyDirectory}/policy.yaml
${probesText(probes)}    ports:
      - name: proxy-status
        containerPort: 15020
    # The application waits for this, so it sends nothing before the rules are in place.
    startupProbe:
      httpGet:
        path: /readyz
        port: 15020
      periodSeconds: 1
      failureThreshold: 60
    # The pod leaves its Services while the proxy drains, or when the certificate has expired.
    readinessProbe:
      httpGet:
        path: /readyz
        port: 15020
    # No limit of CPU: a proxy that is throttled delays every connection.
    resources:
      requests:
        cpu: 100m
        memory: 64Mi
      # The proxy plans with it: 7,192 connections at most (tls-tproxy help limits).
      limits:
        memory: 256Mi
${securityText}    volumeMounts:
      # Whole directories: a subPath would never show a renewed certificate or a changed policy.
      - name: tproxy-credentials
        mountPath: ${credentialsDirectory}
        readOnly: true
      - name: tproxy-policy
        mountPath: ${policyDirectory}
        readOnly: true
`;
}

/** The application's probes; the proxy's own probe its status port, which is open. */
function probesText(probes: readonly Probe[]): string {
  if (probes.length === 0) return "";
  return `      # The probes of the application's containers. For all other clients, these ports are like any other.
      - ${scalar(`--probe=${probes.map(({ text }) => text).join(",")}`)}
      # They come from the node's addresses or, if a bridge or a separate link leads to the pod, from its default gateway.
      - --probe-source=$(TPROXY_HOST_IPS),gateway
    env:
      - name: TPROXY_HOST_IPS
        valueFrom:
          fieldRef:
            fieldPath: status.hostIPs
`;
}

function volumesText(options: SidecarOptions): string {
  const { namespace, serviceAccount } = options;
  return `volumes:
  # For a trial (in production, let cert-manager or another issuer write this Secret):
  #   tls-tproxy certs --name ${serviceAccount} --id ${spiffeIdOf(options)}
  #   kubectl create secret generic ${serviceAccount}-tls --namespace ${namespace} --type kubernetes.io/tls --from-file certs/${serviceAccount}
  - name: tproxy-credentials
    secret:
      secretName: ${serviceAccount}-tls
      # 0400: only root can read the files.
      defaultMode: 256
      # Each file has its line: a Secret of this type may lack ca.crt, and the pod then reports that it is missing.
      items:
        - key: tls.crt
          path: tls.crt
        - key: tls.key
          path: tls.key
        - key: ca.crt
          path: ca.crt
  # On GKE with workload certificates, in place of the Secret; the policy then names
  # spiffe://PROJECT.svc.id.goog/ns/${namespace}/sa/… :
  # - name: tproxy-credentials
  #   csi:
  #     driver: workloadcertificates.security.cloud.google.com
  # The policy says which peers are allowed:
  #   kubectl create configmap ${serviceAccount}-policy --namespace ${namespace} --from-file policy.yaml
  - name: tproxy-policy
    configMap:
      name: ${serviceAccount}-policy
`;
}

/** Refuses what Kubernetes would refuse, or YAML would misread. */
function assertNames({ image, namespace, serviceAccount, trustDomain }: SidecarOptions): void {
  const faults = [
    [/^[a-z0-9][\w./:@-]{0,500}$/i.test(image), "--image", "an image like tproxy:dev", image],
    [isLabel(namespace), "--namespace", "a namespace like default", namespace],
    [
      serviceAccount.length <= serviceAccountLengthMax && serviceAccount.split(".").every(isLabel),
      "--service-account",
      "a service account like orders",
      serviceAccount,
    ],
    [isTrustDomain(trustDomain), "--trust-domain", "one like cluster.local", trustDomain],
  ] as const;
  const fault = faults.find(([isGood]) => !isGood);
  if (fault === undefined) return;
  const [, flag, wanted, text] = fault;
  throw new ProxyError("USAGE", `${flag} ${quote(text)}: it must be ${wanted}`);
}

/** RFC 1123, as in Kubernetes. */
function isLabel(text: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

/** Quotes text that YAML 1.1 or 1.2 would read as a number or a boolean. */
function scalar(text: string): string {
  return stringify(text, { version: "1.1", lineWidth: 0 }).trimEnd();
}

const credentialsDirectory = "/etc/tproxy/credentials";
const policyDirectory = "/etc/tproxy/policy";
/** The names of its Secret and ConfigMap add a suffix, and have at most 253 characters. */
const serviceAccountLengthMax = 240;

const securityText = `    securityContext:
      # Kubernetes gives added capabilities only to containers that run as root.
      runAsUser: 0
      runAsNonRoot: false
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      seccompProfile:
        type: RuntimeDefault
      capabilities:
        drop:
          - ALL
        add:
          # Rules and routes.
          - NET_ADMIN
          # Transparent sockets and marks.
          - NET_RAW
          # Ports 1, 2 and 3: not every runtime opens those below 1024 to all.
          - NET_BIND_SERVICE
`;
