import { badRequest } from './errors.ts'

/** The parameters of a query string, each name with all its values. */
export type Query = ReadonlyMap<string, readonly string[]>

const NO_PARAMETERS: Query = new Map()

const decode = (text: string): string => {
  try {
    // Not a form: "+" stands for itself.
    return decodeURIComponent(text)
  } catch {
    throw badRequest('the query string is not valid percent-encoding')
  }
}

/** @throws KmeError BAD_REQUEST */
export const parseQuery = (text: string): Query => {
  if (text === '') return NO_PARAMETERS
  const parameters = new Map<string, string[]>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const value = decode(equals < 0 ? '' : pair.slice(equals + 1))
    const values = parameters.get(name)
    if (values) values.push(value)
    else parameters.set(name, [value])
  }
  return parameters
}

/** The value of a parameter that may come once, or null. @throws KmeError BAD_REQUEST */
export const single = (query: Query, name: string): string | null => {
  const values = query.get(name)
  if (values === undefined) return null
  const [value, second] = values
  if (second !== undefined) throw badRequest(`${name} shall come once in the query string`)
  return value ?? null
}

const DECIMAL = /^[0-9]{1,10}$/

/** @throws KmeError BAD_REQUEST */
export const singleInteger = (query: Query, name: string): number | null => {
  const value = single(query, name)
  if (value === null) return null
  if (!DECIMAL.test(value)) throw badRequest(`${name} shall be a decimal integer`)
  return Number(value)
}
