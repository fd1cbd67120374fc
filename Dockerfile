# The service in a container: no root, no development tools, a read-only root file system.
#
#   docker build -t jwt-mailer .
#   docker run --read-only -p 8080:8080 --env-file .env -v jwt-mailer-data:/data --stop-timeout 30 jwt-mailer

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY client/package.json client/
# No package of ours needs its install script, and those of strangers stay out.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
# What only readers and compilers look at: a third of the packages.
RUN find node_modules -type f '(' -name '*.md' -o -name '*.map' -o -name '*.ts' ')' -delete

# Debian and Node alone: the image of Node also holds npm, yarn and the headers for compilers.
FROM debian:bookworm-slim
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
ENV NODE_ENV=production PORT=8080 DATA_DIR=/data
# A new volume takes the owner of the folder it covers, so the folder must be there and be the user's.
RUN useradd --uid 1000 --create-home node && install -d -o node -g node -m 0700 /data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY . .
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["node", "src/healthcheck.ts"]
# Node itself is process 1 and hears SIGTERM: no shell, no npm in between.
CMD ["node", "--max-semi-space-size=8", "--max-old-space-size=160", "src/start.js"]
