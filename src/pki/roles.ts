/** Who gets certificates; each role has a CA of its own. */
export const ROLES = ['sae', 'kme', 'operator'] as const

export type Role = (typeof ROLES)[number]

export const CA_NAMES: Readonly<Record<Role, string>> = {
  sae: 'Keyspring SAE CA',
  kme: 'Keyspring KME CA',
  operator: 'Keyspring operator CA',
}
