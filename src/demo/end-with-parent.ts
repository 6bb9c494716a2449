/**
 * Loaded into each KME of the demo before its own code: when the demo is gone, however it ended,
 * the pipe to it closes and the KME stops as if asked to. No KME outlives its demo.
 */
const stdin = process.stdin

stdin.once('end', () => {
  process.kill(process.pid, 'SIGTERM')
})
stdin.on('error', () => undefined)
stdin.resume()
// The pipe alone keeps no process running.
if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
