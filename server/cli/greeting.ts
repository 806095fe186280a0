/**
 * How to try a service that has no secret of its own and made one for this run.
 *
 * @param token signed with that secret
 * @param hasPage whether it serves the page for newcomers
 */
export function greeting(port: number, token: string, hasPage: boolean): string {
  return [
    '',
    ...(hasPage ? [`First steps, in a browser: http://localhost:${port}/`] : []),
    'No JWT_SECRET is set: the service made a secret for this run, and signed this token with it.',
    'It is for the user developer, with the roles user and admin, and is good for 12 hours or until the next start:',
    `  export TOKEN=${token}`,
    'Try it by WebSocket, or in a program with socket.io-client:',
    `  npx wscat -c "ws://localhost:${port}/ws?token=${token}"`,
    '  > {"type":"Subscribe","data":{"topics":["news"]}}',
    `  io('http://localhost:${port}', { auth: { token: process.env.TOKEN } }).on('status', console.log)`,
    'For tokens that stay good, set JWT_SECRET and make them by: node dist/server/cli/rtc.js token --user ann',
    '',
    '',
  ].join('\n');
}
