/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/helpers/strip-types.js' },
  // Real handshakes, processes and fsyncs on a busy machine: a test is stopped when it hangs, not when it is slow.
  testTimeout: 60_000,
  maxWorkers: 2,
}
