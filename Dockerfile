# One KME as a container: docker build -t keyspring . && docker run -v ./kme:/etc/keyspring:ro -v keyspring:/var/lib/keyspring keyspring
# For production pin the base by digest (node:24-bookworm-slim@sha256:...), so that a build is the same tomorrow.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /build
# The optional packages are a second Node for clones; the base brings its own.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=optional
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY src/ src/
RUN npm run build && npm prune --omit=dev --omit=optional

FROM ${BASE}
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=build /build/node_modules/ node_modules/
COPY --from=build /build/dist/ dist/
COPY bin/ bin/
# The store is the only thing that is written: the rest may be mounted read-only (--read-only).
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/keyspring
VOLUME /var/lib/keyspring
# By number, so that an orchestrator can see that it is not root.
USER 1000:1000
# SAEs, peer KMEs, operators
EXPOSE 8443 8444 8445
# No HEALTHCHECK here: the probes listener is off by default. Where it is on, point the orchestrator at /readyz.
ENTRYPOINT ["node", "bin/keyspring.js"]
CMD ["serve", "-c", "/etc/keyspring/kme.yaml"]
