# Built and run on Debian 12, like everything else here:
#   docker build -t tenbin . && docker run --network host -v $PWD/conf:/etc/tenbin tenbin run -c /etc/tenbin/quickstart.yaml
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc make libc6-dev libev-dev libssl-dev libnghttp2-dev libhttp-parser-dev libyaml-dev libc-ares-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
COPY include include
COPY src src
COPY conf conf
RUN make -j"$(nproc)" && make install DESTDIR=/out PREFIX=/usr

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
        libev4 libssl3 libnghttp2-14 libhttp-parser2.9 libyaml-0-2 libc-ares2 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home tenbin
COPY --from=build /out/ /
USER tenbin
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tenbin"]
CMD ["run", "-c", "/etc/tenbin/tenbin.yaml"]
