# One node: Postgres with Patroni, from Debian's packages.
FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends patroni postgresql-15 python3-etcd \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o postgres -g postgres -m 700 /data
COPY patroni.yml /etc/patroni.yml
USER postgres
VOLUME /data
ENTRYPOINT ["patroni", "/etc/patroni.yml"]
