import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

const timer = '/^(setTimeout|setInterval|setImmediate)$/'

/** Time comes through the clock port in the domain: a direct read or timer could not be driven by a test. */
const realTime = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    what: 'Date.now()',
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", what: 'new Date()' },
  {
    selector: "CallExpression[callee.object.name='performance'][callee.property.name='now']",
    what: 'performance.now()',
  },
  { selector: `CallExpression[callee.name=${timer}]`, what: 'A timer' },
  {
    selector: `CallExpression[callee.object.name='globalThis'][callee.property.name=${timer}]`,
    what: 'A timer',
  },
].map(({ selector, what }) => ({
  selector,
  message: `${what} is not for the domain: use the clock port.`,
}))

/** A plain cast would call any socket an authenticated one. */
const tlsCast = {
  selector: "TSAsExpression > TSTypeReference > Identifier[name='TLSSocket']",
  message: 'Narrow with `instanceof TLSSocket` and check `authorized`; a cast proves nothing.',
}

/** tsc does not rewrite the name of a worker's file, so one helper chooses between .ts and .js. */
const workerUrl = {
  selector: "NewExpression[callee.name='Worker'] > NewExpression[callee.name='URL']",
  message: 'Use siblingUrl(): this name would still end in .ts in the build.',
}

const processEnv = {
  object: 'process',
  property: 'env',
  message: 'Only config/load.ts reads the environment.',
}

const forgeChain = ['verifyCertificateChain', 'certificateFromPem'].map((property) => ({
  property,
  message:
    'node-forge neither reads EC nor checks chains soundly: use node:tls and crypto.X509Certificate.',
}))

const forgeImport = {
  name: 'node-forge',
  message: 'node-forge belongs to src/pki (PKCS#12) and the tests alone.',
}

const envImport = {
  name: 'node:process',
  importNames: ['env'],
  message: processEnv.message,
}

const timerImports = ['node:timers', 'node:timers/promises', 'node:perf_hooks'].map((name) => ({
  name,
  message: 'Time comes through the clock port in the domain.',
}))

const size = (level) => ({
  'max-lines-per-function': [level, { max: 50, skipBlankLines: true, skipComments: true }],
  complexity: [level, 10],
})

export default defineConfig(
  { ignores: ['dist/', 'coverage/', 'node_modules/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // Async methods that only satisfy a port are fine.
      '@typescript-eslint/require-await': 'off',
      // Express tells an error handler by its four arguments.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines': ['error', 400],
      ...size('error'),
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': ['error', processEnv, ...forgeChain],
      'no-restricted-imports': ['error', { paths: [forgeImport, envImport] }],
      'no-restricted-syntax': ['error', tlsCast, workerUrl],
    },
  },
  {
    files: ['src/links/**/*.ts', 'src/delivery/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { paths: [forgeImport, envImport, ...timerImports] }],
      'no-restricted-syntax': ['error', tlsCast, workerUrl, ...realTime],
    },
  },
  {
    files: ['src/config/load.ts'],
    rules: {
      'no-restricted-properties': ['error', ...forgeChain],
      'no-restricted-imports': ['error', { paths: [forgeImport] }],
    },
  },
  {
    files: ['src/pki/**/*.ts'],
    rules: {
      'no-restricted-properties': ['error', processEnv],
      'no-restricted-imports': ['error', { paths: [envImport] }],
    },
  },
  { files: ['src/cli/terminal.ts'], rules: { 'no-console': 'off' } },
  {
    // Tables and state machines read best in one piece.
    files: ['src/drivers/simulator/**/*.ts', 'src/**/*codec*.ts', 'src/**/codecs/**/*.ts'],
    rules: size('warn'),
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'max-lines': ['error', 600],
      // Test doubles and untyped answers of HTTP clients.
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
)
