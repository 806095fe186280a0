/**
 * Import rules. Every folder of `server/` has one rank; a folder imports only folders of a lower rank, so there is no cycle of folders, and
 * a reader finds each part below what uses it. `shared/` is below all of them. See docs/architecture.md.
 */
const ranks = [
  ['primitives', 'logging'],
  ['config', 'protocol'],
  ['log', 'cluster', 'limits'],
  ['auth', 'presence', 'control', 'supervision', 'metrics', 'tracing'],
  ['fanout', 'hooks'],
  ['publish'],
  ['topics'],
  ['sessions', 'direct'],
  ['commands'],
  ['storage', 'http', 'gateway'],
  ['admin', 'cli'],
  ['app'],
];

/** One rule for each rank: what is of this rank imports neither the same rank (but its own folder) nor a higher one. */
const rankRules = ranks.map((folders, rank) => ({
  name: `rank-${rank + 1}-imports-lower-ranks-only`,
  comment: `server/{${folders.join(',')}} may import shared/ and folders of a lower rank`,
  severity: 'error',
  from: { path: `^server/(${folders.join('|')})/` },
  to: { path: `^server/(${ranks.slice(rank).flat().join('|')})/`, pathNot: '^server/$1/' },
}));

module.exports = {
  forbidden: [
    ...rankRules,
    {
      name: 'every-folder-has-a-rank',
      comment: 'a new folder of server/ is given a rank in this file',
      severity: 'error',
      from: {},
      to: { path: '^server/[^/]+/', pathNot: `^server/(${ranks.flat().join('|')})/` },
    },
    { name: 'no-cycles-of-files', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-cycles-of-folders',
      severity: 'error',
      scope: 'folder',
      from: { path: '^server/' },
      to: { circular: true },
    },
    {
      name: 'shared-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(server|client|admin|bench|test)/' },
    },
    {
      name: 'client-imports-shared-only',
      comment: 'of our own; it runs in browsers too',
      severity: 'error',
      from: { path: '^client/' },
      to: { path: '^(server|admin|bench|test)/' },
    },
    {
      name: 'client-imports-socket-io-client-only',
      comment: 'of packages, and nothing of Node; client/react.ts also imports react',
      severity: 'error',
      from: { path: '^client/', pathNot: '^client/react\\.ts$' },
      to: { pathNot: '^(client|shared)/|node_modules/socket\\.io-client/' },
    },
    {
      name: 'client-react-imports-react-only',
      severity: 'error',
      from: { path: '^client/react\\.ts$' },
      to: { pathNot: '^client/|node_modules/(@types/)?react/' },
    },
    {
      name: 'nothing-imports-the-entry-points',
      severity: 'error',
      from: { path: '^server/' },
      to: { path: '^server/(main|index)\\.ts$' },
    },
    {
      name: 'server-does-not-import-client-or-tests',
      severity: 'error',
      from: { path: '^server/' },
      to: { path: '^(client|bench|test)/' },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^(server|shared)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: '@types' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.cjs', '.json'] },
  },
};
