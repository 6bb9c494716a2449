/**
 * Who may import whom (docs/architecture.md). One line per room of src/: what it sees besides itself.
 * What is not in the table may not be imported, so a new folder needs a line here.
 */
const foundation = ['errors', 'model', 'support']
const contracts = [...foundation, 'ports']
const domain = [...contracts, 'links', 'delivery']

const rooms = {
  errors: [],
  model: ['errors'],
  // Ports are contracts: back-off takes a clock through one.
  support: ['errors', 'model', 'ports'],
  ports: ['errors', 'model'],
  log: contracts,

  // The domain: no HTTP, TLS or SQL.
  links: contracts,
  delivery: contracts,

  // They implement ports.
  // The envelope seals rows under data keys; the port wraps those.
  stores: [...contracts, 'sealing/envelope', 'audit'],
  sealing: contracts,
  audit: contracts,
  drivers: [...contracts, 'etsi014/client', 'etsi014/messages'],
  identity: contracts,

  // They call the domain; `http` is handed their routers.
  etsi014: [...domain, 'identity'],
  peers: [...domain, 'identity'],
  admin: [...domain, 'identity'],
  http: [...contracts, 'identity', 'log'],

  // What is an identity is one rule, for who reads certificates and for who makes them.
  pki: [...foundation, 'identity/identity-text'],
  config: [
    ...contracts,
    'drivers/options',
    'drivers/[^/]+/options',
    'identity/rule',
    'identity/identity-text',
  ],
  demo: [...foundation, 'config', 'pki'],
  cli: [
    ...contracts,
    'kme',
    'log',
    'config',
    'pki',
    'demo',
    'identity',
    'sealing',
    'stores',
    'admin/client',
    'etsi014/client',
    'etsi014/messages',
  ],
}

/** A room is a file or a folder, so that one may grow into the other. */
const pathOf = (room) => `^src/${room}(\\.ts$|/)`

const roomRules = Object.entries(rooms).map(([room, seen]) => ({
  name: `${room}-sees-only-its-own`,
  comment: `src/${room} may import: ${seen.join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: pathOf(room) },
  to: { path: '^src/', pathNot: [room, ...seen].map(pathOf) },
}))

/** A package or runtime module that belongs to a few rooms alone. */
const only = (name, what, seenBy) => ({
  name,
  comment: `${what.join(', ')}: only for ${seenBy.join(', ')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: seenBy.map(pathOf) },
  to: { path: what },
})

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: 'kme-is-not-a-tool',
      comment: 'The composition root builds a KME from every room but the tools around it.',
      severity: 'error',
      from: { path: pathOf('kme') },
      to: { path: ['cli', 'demo', 'pki'].map(pathOf) },
    },
    {
      name: 'room-without-a-rule',
      comment: 'A folder of src/ needs its line in the table of .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '^src/', pathNot: ['kme', ...Object.keys(rooms)].map(pathOf) },
      to: {},
    },
    {
      name: 'a-driver-knows-no-other',
      comment:
        'A device interface stands alone; what two share goes beside their folders or into support.',
      severity: 'error',
      from: { path: '^src/drivers/([^/]+)/' },
      to: { path: '^src/drivers/[^/]+/', pathNot: '^src/drivers/$1/' },
    },
    {
      name: 'a-store-knows-no-other',
      comment: 'What two stores share goes beside their folders.',
      severity: 'error',
      from: { path: '^src/stores/(sqlite|memory|postgres)/' },
      to: { path: '^src/stores/(sqlite|memory|postgres)/', pathNot: '^src/stores/$1/' },
    },
    {
      name: 'domain-has-no-network-or-sql',
      severity: 'error',
      from: { path: ['model', 'support', 'ports', 'links', 'delivery'].map(pathOf) },
      to: {
        path: [
          '^(node:)?(http|https|http2|net|tls|dgram|child_process|sqlite)$',
          'node_modules/(express|helmet|better-sqlite3|pg|node-forge)/',
          'node_modules/@types/(express|better-sqlite3|pg|node-forge)/',
        ],
      },
    },
    only('sql-stays-in-stores', ['node_modules/(@types/)?(better-sqlite3|pg)/'], ['stores']),
    only('forge-stays-in-pki', ['node_modules/(@types/)?node-forge/'], ['pki']),
    only(
      'x509-is-made-and-read-in-two-rooms',
      ['node_modules/(@peculiar/x509|reflect-metadata)/'],
      ['pki', 'identity'],
    ),
    only('arguments-are-read-in-cli', ['node_modules/commander/'], ['cli']),
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'src-runs-without-dev-packages',
      comment: 'What src/ imports at run time is installed with the package.',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'src-knows-no-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
  ],
  options: {
    // Type imports tie rooms together as much as others do.
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
}
