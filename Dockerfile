# syntax=docker/dockerfile:1
# The image of the CronJobs in k8s/: the `klines` program, CA certificates, and nothing else (no shell, no package manager).
#   docker build --build-arg VERSION=0.1.0 -t ghcr.io/binance-extractor/klines:0.1.0 .

# Builder and base are of the same Debian release, so that the program finds the C library it was linked against.
FROM rust:1.95-slim-bookworm AS build
# The image's own toolchain: without this, rust-toolchain.toml would have more components downloaded.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
# The caches keep downloaded crates and compiled dependencies between builds; what is shipped is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package klines --bin klines \
    && install -D -m 0755 target/release/klines /out/klines \
    && install -d -m 0755 /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="klines" \
      org.opencontainers.image.description="Keeps Binance klines complete in your own database, and proves it" \
      org.opencontainers.image.source="https://github.com/binance-extractor/binance-extractor" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/klines /usr/local/bin/klines
COPY LICENSE LICENSE-APACHE LICENSE-MIT /licenses/
# Where the default store, klines.db, is written when no other is named: mount a volume here to keep it.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /data
# The user "nonroot" by number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/klines"]
CMD ["--help"]
