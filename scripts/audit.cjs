// Asks the registry for known vulnerabilities of the packages that users install. Fails if there is a high or
// critical one. A registry that does not answer is no failure: CI must not depend on the network.
//
//   node scripts/audit.cjs
const { spawnSync } = require('node:child_process');

const limitMs = 60_000;
const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--audit-level=high', '--json'], {
  encoding: 'utf8',
  timeout: limitMs,
  env: { ...process.env, npm_config_fetch_retries: '0', npm_config_fetch_timeout: String(limitMs / 2) },
});
const report = readReport();
if (report === undefined) console.log('npm audit: not possible, the registry does not answer it here');
else {
  const { high, critical } = report.metadata.vulnerabilities;
  for (const { name, severity, range } of Object.values(report.vulnerabilities))
    if (severity === 'high' || severity === 'critical') console.log(`${name} ${range}: ${severity}`);
  console.log(`npm audit: ${high} high, ${critical} critical`);
  if (high + critical > 0) process.exitCode = 1;
}

/** Undefined if the registry has not answered: npm then prints an error instead of a report, or nothing. */
function readReport() {
  if (error !== undefined) return undefined;
  try {
    const answer = JSON.parse(stdout);
    return answer.metadata?.vulnerabilities === undefined ? undefined : answer;
  } catch {
    return undefined;
  }
}
