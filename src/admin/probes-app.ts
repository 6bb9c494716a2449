import express from 'express'
import type { Observer } from '../ports/observer.ts'
import { errorAnswer, notFound } from './admin-errors.ts'
import { methodsOnly, neverStored } from './admin-guards.ts'
import type { AdminParts } from './admin-parts.ts'
import { readyAnswer } from './readiness.ts'

const PROBES = ['/healthz', '/readyz']

/**
 * For orchestrators, without TLS: whether the KME lives and is ready. Nothing of what the operator
 * API shows besides the codes of the reasons.
 */
export const createProbesApp = (
  parts: Pick<AdminParts, 'readiness'>,
  observer: Observer,
): express.Express => {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.use(neverStored)
  app.get('/healthz', (_request, response) => {
    response.json({ healthy: true })
  })
  app.get('/readyz', (_request, response) => {
    const { ready, reasons } = readyAnswer(parts)
    const codes = [...new Set(reasons.map((reason) => reason.code))]
    response.status(ready ? 200 : 503).json({ ready, reasons: codes })
  })
  for (const path of PROBES) app.all(path, methodsOnly('GET', 'HEAD'))
  app.use(notFound, errorAnswer(observer))
  return app
}
