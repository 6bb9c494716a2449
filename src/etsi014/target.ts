import { MAX_SAE_ID_CHARACTERS, characterCount } from '../model/ids.ts'
import type { IncomingMessage } from 'node:http'
import { RequestRefusal, badRequest } from './errors.ts'

const ABSOLUTE_FORM = /^https:\/\/([^/?#]*)([/?].*)?$/i
const DEFAULT_PORT = ':443'

const countHosts = (rawHeaders: readonly string[]): number => {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts
}

const isOurs = (authority: string, ownAuthorities: () => readonly string[]): boolean => {
  const wanted = authority.toLowerCase()
  return ownAuthorities().some((own) => {
    const ours = own.toLowerCase()
    return ours === wanted || ours === wanted + DEFAULT_PORT
  })
}

/** The path and query of an absolute-form target. @throws RequestRefusal where it is for somebody else */
const originForm = (target: string, ownAuthorities: () => readonly string[]): string => {
  const [, authority, rest = '/'] = ABSOLUTE_FORM.exec(target) ?? []
  if (authority === undefined) throw new RequestRefusal(400, 'the request target is malformed')
  if (!isOurs(authority, ownAuthorities)) {
    throw new RequestRefusal(400, 'the request target is not at this KME')
  }
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Printable ASCII without "#": a fragment is not for servers, and all else has to be percent-encoded. */
const ORIGIN_FORM = /^\/[!"$-~]*$/

/**
 * The target of a request as path and query.
 * @throws RequestRefusal 400: two Host headers, or a target that is malformed or for somebody else
 */
export const targetOf = (
  request: IncomingMessage,
  ownAuthorities: () => readonly string[],
): string => {
  const hosts = countHosts(request.rawHeaders)
  if (hosts > 1) throw new RequestRefusal(400, 'the request has two Host headers')
  if (hosts === 0 && request.httpVersion === '1.1') {
    throw new RequestRefusal(400, 'the request has no Host header')
  }
  const url = request.url ?? ''
  const target = url.startsWith('/') ? url : originForm(url, ownAuthorities)
  if (!ORIGIN_FORM.test(target)) {
    throw new RequestRefusal(400, 'the request target is malformed or not percent-encoded')
  }
  return target
}

/** What comes after the "?" of a target. */
export const queryOf = (target: string): string => {
  const mark = target.indexOf('?')
  return mark < 0 ? '' : target.slice(mark + 1)
}

/** An SAE ID from the path, percent-decoded once before. @throws KmeError BAD_REQUEST */
export const checkSaeId = (saeId: string): string => {
  // UTF-16 units are at least as many as characters: the long way is for long IDs alone.
  if (saeId.length > MAX_SAE_ID_CHARACTERS && characterCount(saeId) > MAX_SAE_ID_CHARACTERS) {
    throw badRequest(`the SAE ID in the path is longer than ${MAX_SAE_ID_CHARACTERS} characters`)
  }
  return saeId
}
