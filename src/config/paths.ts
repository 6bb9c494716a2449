import { resolve } from 'node:path'
import { driverPathFields } from '../drivers/options.ts'
import { PATH_FORMAT } from './fields.ts'
import type { Config } from './schema.ts'
import { type SchemaNode, configJsonSchema, fittingForms } from './schema-view.ts'

const resolveIn = (nodes: readonly SchemaNode[], value: unknown, folder: string): unknown => {
  const forms = nodes.flatMap((node) => fittingForms(node, value))
  if (typeof value === 'string') {
    return forms.some((form) => form.format === PATH_FORMAT) ? resolve(folder, value) : value
  }
  if (Array.isArray(value)) {
    const items = forms.flatMap((form) => form.items ?? [])
    return value.map((item: unknown) => resolveIn(items, item, folder))
  }
  if (typeof value !== 'object' || value === null) return value
  const resolved = Object.entries(value).map(([name, member]: [string, unknown]) => {
    const members = forms.flatMap((form) => form.properties?.[name] ?? [])
    return [name, resolveIn(members, member, folder)]
  })
  return Object.fromEntries(resolved)
}

type Device = Config['links'][number]['devices'][number]

/** Drivers know nothing of this folder's marks: they name their options that are paths. */
const resolveDevice = (device: Device, folder: string): Device => {
  const fields: readonly string[] = driverPathFields[device.driver]
  const options: Record<string, unknown> = { ...device.options }
  for (const field of fields) {
    const path = options[field]
    if (typeof path === 'string') options[field] = resolve(folder, path)
  }
  return { ...device, options } as unknown as Device
}

/** A copy of a checked configuration in which every file and folder is an absolute path. */
export const resolvePaths = (config: Config, folder: string): Config => {
  const resolved = resolveIn([configJsonSchema()], config, folder) as Config
  const links = resolved.links.map((link) => ({
    ...link,
    devices: link.devices.map((device) => resolveDevice(device, folder)),
  }))
  return { ...resolved, links }
}
