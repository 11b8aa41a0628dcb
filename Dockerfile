# The operator: one static binary, no shell, not root.
#
#   docker build -t llm-operator .                                            from source, for the builder's own platform
#   docker buildx build --platform linux/amd64,linux/arm64 -t REF --push .    for several
#   docker build --target prebuilt -t llm-operator DIR -f Dockerfile          from DIR/llm-operator, a static binary
#
# The base images are arguments, so that it builds where no registry can be reached, with buildah as well:
#   buildah bud --isolation chroot --target prebuilt -f Dockerfile -t localhost/llm-operator:1 DIR
#
# Nothing else is in the image: no CA certificates, because the operator talks to the API server, whose CA comes with the
# pod's token, and to pods over plain HTTP.
ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=scratch

FROM ${BASE_IMAGE} AS base
LABEL org.opencontainers.image.title="llm-operator" \
      org.opencontainers.image.description="A Kubernetes operator that runs private LLM stacks" \
      org.opencontainers.image.source="https://github.com/llm-operator/llm-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
# One pool of memory for all threads, little of it kept ready for each, and what is free goes back at once: some hundred
# stacks take a quarter less. The second is for platforms on which the program has the allocator of its C library.
ENV _RJEM_MALLOC_CONF=narenas:1,tcache_max:1024,tcache_nslots_small_max:20,dirty_decay_ms:0,muzzy_decay_ms:0
ENV MALLOC_ARENA_MAX=1
USER 65532:65532
ENTRYPOINT ["/llm-operator"]

# Before the build stage: builders that know no unused stages stop here without compiling.
FROM base AS prebuilt
COPY llm-operator /llm-operator

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# An explicit target keeps crt-static from the build scripts and macros, which cannot be static. Packed relocations need a
# glibc of 2.36 or later, as of Debian 12: with an older one the last line fails.
RUN --mount=type=cache,target=/src/target \
    target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" cargo build --locked --profile dist --package llm-operator --target "$target" \
    && cp "target/$target/dist/llm-operator" /llm-operator \
    && /llm-operator --version

FROM base
COPY --from=build /llm-operator /llm-operator
