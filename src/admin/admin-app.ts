import express from 'express'
import type { Observer } from '../ports/observer.ts'
import { AdminError, errorAnswer, notFound } from './admin-errors.ts'
import {
  type OperatorOf,
  changesFromHereOnly,
  methodsOnly,
  neverStored,
  operatorOfResponse,
  operatorsOnly,
  plainBodiesOnly,
  securityHeaders,
} from './admin-guards.ts'
import type { AdminParts, LinkAnswer, LinkView, StatusAnswer } from './admin-parts.ts'
import { readControlRequest } from './control-request.ts'
import { readyAnswer } from './readiness.ts'
import { readRotateKekRequest } from './rotate-kek-request.ts'

export interface AdminAppOptions {
  readonly operatorOf: OperatorOf
  readonly observer: Observer
  readonly maxBodyBytes: number
}

const findLink = async (parts: AdminParts, linkId: string): Promise<LinkView> => {
  const link = (await parts.links()).find((one) => one.linkId === linkId)
  if (link === undefined) throw new AdminError(404, 'there is no link of that name')
  return link
}

const statusOf = async (parts: AdminParts): Promise<StatusAnswer> => ({
  kme: parts.kme(),
  ...readyAnswer(parts),
  links: await parts.links(),
  alarms: parts.alarms(),
})

const linkAnswer = async (parts: AdminParts, linkId: string): Promise<LinkAnswer> => {
  const link = await findLink(parts, linkId)
  return { link, alarms: parts.alarms().filter((alarm) => alarm.linkId === linkId) }
}

const readRoutes = (parts: AdminParts): express.Router => {
  const router = express.Router({ caseSensitive: true, strict: true })
  router.get('/healthz', (_request, response) => {
    response.json({ healthy: true })
  })
  router.get('/readyz', (_request, response) => {
    const answer = readyAnswer(parts)
    response.status(answer.ready ? 200 : 503).json(answer)
  })
  router.get('/admin/v1/status', async (_request, response) => {
    response.json(await statusOf(parts))
  })
  router.get('/admin/v1/links', async (_request, response) => {
    response.json({ links: await parts.links() })
  })
  router.get('/admin/v1/links/:linkId', async (request, response) => {
    response.json(await linkAnswer(parts, request.params.linkId))
  })
  router.get('/admin/v1/alarms', (_request, response) => {
    response.json({ alarms: parts.alarms() })
  })
  for (const path of READ_PATHS) router.all(path, methodsOnly('GET', 'HEAD'))
  return router
}

const READ_PATHS = [
  '/healthz',
  '/readyz',
  '/admin/v1/status',
  '/admin/v1/links',
  '/admin/v1/links/:linkId',
  '/admin/v1/alarms',
]

const CONTROL_PATH = '/admin/v1/links/:linkId/devices/:deviceId/control'

interface ControlPath {
  readonly linkId: string
  readonly deviceId: string
}

const controlHandler =
  (parts: AdminParts, observer: Observer): express.RequestHandler<ControlPath> =>
  async (request, response) => {
    const { linkId, deviceId } = request.params
    const { name, value } = readControlRequest(request.body)
    const link = await findLink(parts, linkId)
    if (!link.devices.some((device) => device.deviceId === deviceId)) {
      throw new AdminError(404, 'there is no device of that name on this link')
    }
    await parts.control(linkId, deviceId, name, value)
    observer.event({
      level: 'info',
      name: 'admin.control',
      message: `an operator has set ${name} of device ${deviceId} on link ${linkId}`,
      fields: { operator: operatorOfResponse(response), linkId, deviceId, name, value },
    })
    response.status(204).end()
  }

const controlRoute = (parts: AdminParts, options: AdminAppOptions): express.Router => {
  const router = express.Router({ caseSensitive: true, strict: true })
  const body = express.json({ inflate: false, strict: true, limit: options.maxBodyBytes })
  router.post(CONTROL_PATH, changesFromHereOnly, body)
  router.post<ControlPath>(CONTROL_PATH, controlHandler(parts, options.observer))
  router.all(CONTROL_PATH, methodsOnly('POST'))
  return router
}

const ROTATE_KEK_PATH = '/admin/v1/store/rotate-kek'

const rotateKekRoute = (parts: AdminParts, options: AdminAppOptions): express.Router => {
  const router = express.Router({ caseSensitive: true, strict: true })
  const body = express.json({ inflate: false, strict: true, limit: options.maxBodyBytes })
  router.post(ROTATE_KEK_PATH, changesFromHereOnly, body, async (request, response) => {
    const { kekId } = readRotateKekRequest(request.body)
    await parts.rotateKek(kekId)
    options.observer.event({
      level: 'info',
      name: 'admin.rotate-kek',
      message: `the store is under KEK ${kekId} now, as an operator has asked`,
      fields: { operator: operatorOfResponse(response), kekId },
    })
    response.status(204).end()
  })
  router.all(ROTATE_KEK_PATH, methodsOnly('POST'))
  return router
}

/** The operator API: everything on the admin listener, for operators alone. */
export const createAdminApp = (parts: AdminParts, options: AdminAppOptions): express.Express => {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', 'simple')
  app.use(securityHeaders(), neverStored, operatorsOnly(options.operatorOf), plainBodiesOnly)
  app.use(readRoutes(parts), controlRoute(parts, options), rotateKekRoute(parts, options))
  app.use(notFound, errorAnswer(options.observer))
  return app
}
