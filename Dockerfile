# The image: one file, /tls-tproxy, and a link to it, /tproxy; PATH=/ is for `docker exec CONTAINER tls-tproxy ...`.
# `docker build .` builds it from the sources; scripts/image.sh puts a bin/tproxy that is already there into the same
# image, without a network: its build context has the two names in the directory root.
#
#   docker build --build-arg REVISION="$(git rev-parse --short=12 HEAD)" -t tproxy:dev .
#   docker build --target distroless -t tproxy:distroless .

# First, because the classic builder (DOCKER_BUILDKIT=0) makes every stage above its target.
FROM scratch AS prebuilt
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tproxy" \
  org.opencontainers.image.description="A transparent mutual TLS proxy for pods and plain Linux hosts" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY root/ /
ENV PATH=/
ENTRYPOINT ["/tls-tproxy"]

# Bun and Zig come from npm, locked by bun.lock; git is not needed: the commit is REVISION.
FROM node:22-bookworm-slim AS build
WORKDIR /src
COPY package.json bun.lock bunfig.toml tsconfig.json ./
COPY scripts scripts
COPY ffi ffi
COPY src src
ARG REVISION=unknown
ENV TPROXY_COMMIT=$REVISION
RUN scripts/build.sh && mkdir root && mv bin/tproxy root/tls-tproxy && ln -s tls-tproxy root/tproxy

FROM build AS build-dynamic
RUN scripts/build.sh --dynamic && mv bin/tproxy-dynamic root/tls-tproxy

# The dynamic executable, which needs glibc: the five files that it loads, from Debian. scripts/static/README.md says
# what it is for. It needs no /tmp: it loads its shim from memory.
FROM scratch AS distroless
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tproxy" \
  org.opencontainers.image.description="A transparent mutual TLS proxy for pods and plain Linux hosts (glibc)" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-dynamic /lib64/ld-linux-x86-64.so.2 /lib64/ld-linux-x86-64.so.2
COPY --from=build-dynamic \
  /lib/x86_64-linux-gnu/libc.so.6 \
  /lib/x86_64-linux-gnu/libdl.so.2 \
  /lib/x86_64-linux-gnu/libm.so.6 \
  /lib/x86_64-linux-gnu/libpthread.so.0 \
  /lib/x86_64-linux-gnu/
COPY --from=build-dynamic /src/root/ /
ENV PATH=/
ENTRYPOINT ["/tls-tproxy"]

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tproxy" \
  org.opencontainers.image.description="A transparent mutual TLS proxy for pods and plain Linux hosts" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/root/ /
ENV PATH=/
ENTRYPOINT ["/tls-tproxy"]
