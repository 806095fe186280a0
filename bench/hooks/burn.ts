/** Processor time that each message costs, in milliseconds. */
const burnMs = Number(process.env['BURN_MS'] ?? 5);

/** A slow hook, for the program and as a module: it computes. */
export function onPublish(): void {
  const end = performance.now() + burnMs;
  while (performance.now() < end);
}
